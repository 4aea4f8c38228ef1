//! What the Streams page says in Korean.

use tailwater_protocol::NameError;

use super::StreamsText;
use crate::api::name::NameFault;
use crate::api::request::InvalidField;
use crate::app::language::Language;
use crate::numbers::{count, size};
use crate::pages::streams::model::tailing::FollowState;

/// 한국어.
pub(super) const TEXT: StreamsText = StreamsText {
    title: "Tailwater — 스트림",
    name: "스트림",
    skip: "스트림으로 건너뛰기",
    foot: "여기서 하는 모든 일은 평범한 요청이며 저마다 curl 한 줄이 있습니다. 목록과 숫자는 /v1/streams 아래의 JSON입니다.",
    list: "모든 스트림",
    search: "이름 찾기",
    show_all: "모두 보기",
    nothing_found: |search| format!("이름에 ‘{search}’ 들어간 스트림이 없습니다."),
    none_title: "아직 스트림이 없습니다",
    none: "PUT 한 번이면 생깁니다. 여기서 만들거나 셸에서:",
    loading: "서버에 묻는 중…",
    next_page: "다음",
    previous_page: "이전",
    new_stream: "새 스트림",
    back: "모든 스트림",
    live: |count| format!("구독 {count}"),
    open: "열림",
    closed: "닫힘",
    is_fork: "갈래",
    create_title: "새 스트림",
    create_intro: "URL 하나에 덧붙이기만 하는 스트림 하나. 콘텐츠 유형이 메시지의 단위를 정합니다.",
    stream_name: "이름",
    stream_name_hint: "logs/web",
    content_type: "콘텐츠 유형",
    other_type: "다른 유형…",
    ttl: "쓰이지 않으면 끝남",
    keep_bytes: "보관할 크기",
    keep_seconds: "보관할 시간",
    limits: "한도",
    limits_hint: "비워 두면 한도가 없습니다. 읽거나 쓰면 쓰이지 않은 시간은 처음부터 다시 셉니다.",
    first: "처음 내용 (없어도 됨)",
    create: "만들기",
    field: |field| match field {
        InvalidField::Name(fault) => name_fault(fault),
        InvalidField::Ttl => "쓰이지 않은 시간은 1 이상의 정수(초)입니다.".to_owned(),
        InvalidField::KeepBytes => "보관할 바이트 수는 1 이상의 정수입니다.".to_owned(),
        InvalidField::KeepSeconds => "보관할 시간은 1 이상의 정수(초)입니다.".to_owned(),
    },
    facts: "어떤 스트림인가",
    earliest: "가장 앞 오프셋",
    tail: "꼬리",
    size: "보관",
    state: "상태",
    ends: "끝나는 때",
    ends_idle: |span| format!("{span} 동안 읽기도 쓰기도 없으면"),
    ends_at: |moment| moment.to_owned(),
    never: "지울 때까지",
    retention: "보관 범위",
    keeps_all: "전부",
    keeps_bytes: |size| format!("마지막 {size}"),
    keeps_for: |span| format!("{span} 동안의 메시지"),
    forked_from: "갈라져 나온 곳",
    at_offset: |offset| format!("오프셋 {offset}"),
    forks: "갈래",
    and_more: |count| format!("외 {count}개"),
    readers: "실시간 구독",
    no_readers: "이 스트림을 실시간으로 따라가는 이가 없습니다.",
    this_page: "이 페이지도 그중 하나입니다.",
    plain_reads: |count| format!("서버가 켜진 뒤 단순 읽기 {count}회"),
    slowest: |size| format!("가장 느린 쪽이 {size} 뒤"),
    at_tail: "꼬리에 있음",
    each_reader: "하나씩 보기",
    position: "위치",
    behind: "뒤처짐",
    since: "연결된 지",
    producers: "생산자",
    no_producers: "멱등 생산자가 덧붙인 적이 없습니다.",
    producer: "생산자",
    epoch: "세대",
    sequence: "마지막 순번",
    as_json: "JSON",
    export: "내보내기",
    missing: |name| format!("{name} 스트림이 없습니다"),
    missing_hint: "지워졌거나 스스로 끝났을 수 있습니다. 생기면 이 페이지가 바로 보여 줍니다.",
    gone_title: "서버가 답하지 않습니다",
    gone: "서버가 켜져 있나요? 페이지가 2초마다 다시 묻고, 되면 스스로 이어 갑니다. 켜는 법:",
    append_title: "덧붙이기",
    append_hint: "Enter는 보내기, Shift+Enter는 줄 바꿈.",
    append_json: "JSON 값 하나. 배열이면 원소마다 메시지 하나입니다.",
    append: "덧붙이기",
    appended: |offset| format!("덧붙였습니다. 꼬리는 {offset}."),
    is_closed: "닫힌 스트림이라 더는 덧붙일 수 없습니다.",
    follow_title: "실시간으로 따라가기",
    follow_from: "시작할 곳",
    from_beginning: "처음부터",
    from_now: "지금부터",
    start: "따라가기",
    stop: "그만",
    stopped: "따라가지 않음.",
    renews: "따라가는 것도 읽기이므로, 쓰이지 않은 시간이 처음부터 다시 셉니다.",
    standing: |standing| match standing {
        FollowState::Connecting => "연결 중".to_owned(),
        FollowState::Live => "실시간".to_owned(),
        FollowState::Again(why) => format!("다시 잇는 중: {why}"),
        FollowState::Ended => "닫힌 스트림을 끝까지 읽음".to_owned(),
        FollowState::Failed(why) => format!("읽을 수 없음: {why}"),
    },
    stands_in: |technique| format!("지금은 {technique}(으)로"),
    counts: |messages, bytes, requests| {
        format!(
            "메시지 {}개, {}, 요청 {}회",
            count(messages),
            size(bytes, Language::Korean),
            count(requests)
        )
    },
    nothing_yet: "아직 온 것이 없습니다.",
    cut: |size| format!("… 모두 {size}"),
    bytes_of: |size| format!("글이 아닌 {size}:"),
    change_title: "바꾸기",
    fork: "갈래 만들기",
    fork_hint: "이 스트림의 메시지를 어느 오프셋까지 이어받는 새 스트림. 복사하지 않습니다.",
    fork_at: "이어받을 끝",
    fork_tail: "꼬리",
    close: "닫기",
    close_ask: "닫으면 아무도 더 덧붙일 수 없고 되돌릴 수 없습니다.",
    close_sure: "닫습니다",
    delete: "지우기",
    delete_ask: |name| format!("{name}의 모든 메시지를 지울까요? 되돌릴 수 없습니다."),
    delete_forks: |forks| {
        format!(
            "갈래({forks})는 이어받은 것을 그대로 가지며, 갈래가 모두 사라질 때까지 이 이름은 다시 쓸 수 없습니다."
        )
    },
    delete_sure: "지웁니다",
    keep: "취소",
    closed_now: |name| format!("{name} 스트림을 닫았습니다."),
    deleted: |name| format!("{name} 스트림을 지웠습니다."),
    created: |name| format!("{name} 스트림을 만들었습니다."),
    there_already: |name| format!("{name} 스트림이 이미 똑같이 있었습니다."),
    forked: |name| format!("갈래 {name} 스트림을 만들었습니다."),
    refused: |why| format!("거절됨: {why}"),
    help_title: "여기서 할 수 있는 일",
    help_intro: "이 서버의 모든 스트림이 이름순으로 있습니다. 하나를 고르면 어떤 스트림인지, 누가 얼마나 뒤처져 읽는지 보이고, 덧붙이고 따라가고 갈래를 만들고 닫고 지울 수 있습니다.",
    help: &[
        "숫자는 탭이 보이는 동안 2초마다, 목록은 5초마다 다시 묻습니다.",
        "뒤처짐은 서버가 구독자에게 건넨 곳과 꼬리 사이의 바이트 수입니다.",
        "롱 폴링은 기다리는 동안에만 구독자로 셉니다. 폴링은 단순 읽기로만 셉니다.",
        "내보낸 파일은 끝줄이 있어 잘리면 알아볼 수 있습니다. `tailwater import`로 다시 스트림이 됩니다.",
    ],
    key_search: "찾기로",
    key_new: "새 스트림",
    key_append: "덧붙이기 상자로",
};

fn name_fault(fault: &NameFault) -> String {
    match fault {
        NameFault::Missing => "이름이 필요합니다. 예: logs/web".to_owned(),
        NameFault::Reserved => "`__ds` 아래의 이름은 서버가 씁니다.".to_owned(),
        NameFault::Wrong(fault) => match fault {
            NameError::EmptySegment(_) => "빗금과 빗금 사이가 비어 있습니다.".to_owned(),
            NameError::DotSegment(_) => {
                "`.`이나 `..`은 이름의 한 마디가 될 수 없습니다.".to_owned()
            }
            NameError::Control(at) => format!("{at}번째 바이트에 제어 문자가 있습니다."),
            NameError::TooLong { came, limit } => {
                format!("이름이 {came}바이트입니다. 한도는 {limit}바이트입니다.")
            }
            NameError::TooManySegments { came, limit } => {
                format!("이름이 {came}마디입니다. 한도는 {limit}마디입니다.")
            }
            NameError::EscapedSlash | NameError::Encoding(_) => fault.to_string(),
        },
    }
}
