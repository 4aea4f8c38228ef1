//! The Korean texts of the Streams page; docs/korean.md has the glossary and the rules.

use tailwater_protocol::NameError;

use super::StreamsText;
use crate::api::name::NameFault;
use crate::api::new_stream::InvalidField;
use crate::language::Language;
use crate::numbers::{count, size, span_s};
use crate::pages::streams::model::tailing::{FollowStart, FollowState};

pub(super) const TEXT: StreamsText = StreamsText {
    title: "Tailwater — 스트림",
    name: "스트림",
    skip: "스트림으로 건너뛰기",
    foot: "여기서 하는 모든 작업은 일반 HTTP 요청이며, 작업마다 curl 명령이 있습니다. 목록과 수치는 /v1/streams 아래의 JSON입니다.",
    list: "모든 스트림",
    stream_count: |number| format!("전체 스트림 {}개", count(number)),
    search: "이름 검색",
    search_by: "검색 방법",
    contains: "포함",
    begins: "접두사",
    sort: "정렬",
    by_name: "이름순",
    newest_first: "최신순",
    with_lab: "lab/ 포함",
    nothing_here: "여기에 표시할 스트림이 없습니다.",
    only_lab: "lab 기능의 스트림만 있으며 숨겨져 있습니다.",
    server: |server| {
        let size = |bytes| size(bytes, Language::Korean);
        let memory = server.resident_bytes;
        let stored = server.stored_bytes.map(|stored| {
            let limit = server
                .limit_bytes
                .map(|limit| format!(" / {}", size(limit)));
            format!("저장된 크기 {}{}", size(stored), limit.unwrap_or_default())
        });
        let parts = [
            Some(format!("Tailwater {}", server.version)),
            Some(format!(
                "가동 시간 {}",
                span_s(server.uptime_seconds, Language::Korean)
            )),
            memory.map(|bytes| format!("메모리 {}", size(bytes))),
            stored,
            server
                .free_bytes
                .map(|bytes| format!("디스크 여유 공간 {}", size(bytes))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    },
    disk_full: "· 디스크가 가득 차서 추가 요청이 거부됩니다.",
    show_all: "모두 보기",
    nothing_found: |search| format!("‘{search}’ 검색 결과가 없습니다."),
    none_title: "아직 스트림이 없습니다",
    none: "PUT 요청으로 스트림을 만듭니다. 여기나 셸에서 만들어 보세요:",
    loading: "목록을 불러오는 중…",
    next_page: "다음",
    previous_page: "이전",
    new_stream: "새 스트림",
    back: "모든 스트림",
    live: |count| format!("리더 {count}"),
    open: "열림",
    closed: "닫힘",
    is_fork: "포크",
    create_title: "새 스트림",
    create_intro: "URL마다 추가 전용(append-only) 스트림이 하나씩 있습니다. 메시지의 단위는 콘텐츠 유형에 따라 정해집니다.",
    stream_name: "이름",
    stream_name_hint: "logs/web",
    content_type: "콘텐츠 유형",
    other_type: "다른 유형…",
    ttl: "유휴 만료 시간",
    expires_at: "만료 시각",
    keep_bytes: "최대 보관 크기",
    keep_seconds: "최대 보관 기간",
    closed_at_once: "닫힌 상태로 만들기",
    limits: "옵션",
    limits_hint: "비워 두면 제한이 없습니다. 읽거나 쓰면 유휴 시간을 처음부터 다시 셉니다.",
    fork_limits_hint: "비워 두면 포크 원본의 설정을 따릅니다. 읽거나 쓰면 유휴 시간을 처음부터 다시 셉니다.",
    first: "첫 내용(선택 사항)",
    create: "만들기",
    field: |field| match field {
        InvalidField::Name(fault) => name_fault(fault),
        InvalidField::Ttl => "유휴 만료 시간은 1 이상의 정수(초)여야 합니다.".to_owned(),
        InvalidField::KeepBytes => "최대 보관 크기는 1 이상의 정수(바이트)여야 합니다.".to_owned(),
        InvalidField::KeepSeconds => "최대 보관 기간은 1 이상의 정수(초)여야 합니다.".to_owned(),
        InvalidField::ForkBeyond => "추가 메시지 수는 1 이상의 정수여야 합니다.".to_owned(),
    },
    subscriptions: "구독",
    subscriptions_hint: "구독은 스트림에 새 메시지가 생기면 워커를 깨웁니다. 일시 정지 중에는 워커를 깨우지 않으며, 메시지는 그대로 남아 있다가 재개하면 전달됩니다.",
    subscription_id: "ID",
    subscription_kind: "깨우는 방식",
    subscription_pattern: "스트림(*는 경로 구간 하나, **는 여러 구간)",
    subscription_target: "웹훅 URL 또는 깨우기 스트림 이름",
    subscription_show: "조회",
    subscription_list: "모든 구독",
    no_subscriptions: "구독이 없습니다.",
    refresh: "새로 고침",
    subscription_streams: "스트림",
    streams_behind: "뒤처진 스트림",
    last_failure: "마지막 실패",
    subscription_pause: "일시 정지",
    subscription_resume: "재개",
    subscription_status,
    subscription_state: |details| {
        let failure = details.last_error.as_ref().map(|error| {
            let next = details.next_attempt_at.as_deref();
            let next = next.map(|next| format!(". 다음 시도: {next}"));
            format!(". 마지막 실패: {error}{}", next.unwrap_or_default())
        });
        format!(
            "{}, 스트림 {}개, 세대 {}{}",
            subscription_status(details.is_paused, &details.status),
            details.cursors.len(),
            count(details.generation),
            failure.unwrap_or_default()
        )
    },
    subscription_ask: |id| format!("{id} 구독과 모든 커서를 삭제하시겠습니까? 되돌릴 수 없습니다."),
    unsubscribed: |id| format!("{id} 구독을 삭제했습니다."),
    acknowledged: "확인된 오프셋",
    facts: "스트림 정보",
    earliest: "첫 오프셋",
    tail: "끝(tail)",
    size: "보관 중인 크기",
    state: "상태",
    ends: "만료",
    ends_idle: |span| format!("{span} 동안 읽기와 쓰기가 없을 때"),
    ends_at: |moment| moment.to_owned(),
    never: "없음(삭제할 때까지)",
    retention: "보관 범위",
    keeps_all: "전체",
    keeps_bytes: |size| format!("최대 {size}"),
    keeps_for: |span| format!("최대 {span}"),
    created_at: "생성 시각",
    forked_from: "포크 원본",
    at_offset: |offset| format!("오프셋 {offset}"),
    forks: "포크",
    and_more: |count| format!("외 {count}개"),
    readers: "실시간 리더",
    no_readers: "이 스트림을 실시간으로 읽는 리더가 없습니다.",
    this_page: "이 페이지도 리더 중 하나입니다.",
    plain_reads: |count| format!("서버 시작 후 일반 읽기: {count}회"),
    slowest: |size| format!("가장 느린 리더가 {size} 뒤처짐"),
    at_tail: "끝(tail)까지 읽음",
    each_reader: "리더별 보기",
    position: "위치",
    behind: "뒤처진 양(lag)",
    since: "연결 시간",
    producers: "프로듀서",
    no_producers: "메시지를 추가한 멱등 프로듀서가 없습니다.",
    producer: "프로듀서",
    epoch: "에포크",
    sequence: "마지막 시퀀스 번호",
    as_json: "JSON",
    export: "내보내기",
    missing: |name| format!("{name} 스트림이 없습니다"),
    missing_hint: "삭제되었거나 만료되었을 수 있습니다. 스트림이 생성되면 이 페이지에 바로 표시됩니다.",
    gone_title: "서버가 응답하지 않습니다",
    gone: "서버가 실행 중인지 확인하세요. 페이지는 2초마다 다시 요청하며, 연결되면 자동으로 재개합니다. 실행 명령:",
    append_title: "메시지 추가",
    append_hint: "Enter로 추가하고 Shift+Enter로 줄을 바꿉니다.",
    append_json: "JSON 값 하나를 입력합니다. 배열이면 원소마다 메시지 하나가 됩니다.",
    append: "추가",
    appended: |offset| format!("추가했습니다. 끝(tail)의 오프셋: {offset}"),
    is_closed: "닫힌 스트림이므로 더 추가할 수 없습니다.",
    follow_title: "실시간 읽기",
    follow_from: "시작 위치",
    start_at: |start| match start {
        FollowStart::Last => "마지막 메시지부터",
        FollowStart::Beginning => "처음부터",
        FollowStart::Now => "지금부터",
    },
    start: "읽기 시작",
    stop: "중지",
    stopped: "읽고 있지 않습니다.",
    renews: "실시간 읽기도 읽기이므로 이 스트림의 유휴 시간을 처음부터 다시 셉니다.",
    follow_state: |state| match state {
        FollowState::Connecting => "연결 중".to_owned(),
        FollowState::Live => "실시간".to_owned(),
        FollowState::Retrying(why) => format!("다시 연결 중: {why}"),
        FollowState::Ended => "닫힌 스트림을 끝까지 읽음".to_owned(),
        FollowState::Failed(why) => format!("읽을 수 없음: {why}"),
    },
    replaced_by: |technique| format!("대체 방식: {technique}"),
    counts: |messages, bytes, requests| {
        format!(
            "메시지 {}개, {}, 요청 {}회",
            count(messages),
            size(bytes, Language::Korean),
            count(requests)
        )
    },
    nothing_yet: "아직 도착한 메시지가 없습니다.",
    cut: |size| format!("… 전체 {size}"),
    bytes_of: |size| format!("텍스트가 아닌 데이터 {size}:"),
    fork_here: |offset| format!("이 메시지까지 포크: 오프셋 {offset}"),
    change_title: "관리",
    fork: "포크",
    fork_hint: "이 스트림의 메시지를 지정한 오프셋까지 이어받는 새 스트림을 만듭니다. 위의 오프셋을 클릭하면 입력됩니다. 데이터는 복사하지 않습니다.",
    fork_at: "포크할 오프셋",
    fork_tail: "끝(tail)",
    fork_beyond: "추가 메시지 수(JSON이 아니면 바이트 수)",
    close: "닫기",
    close_ask: "닫은 뒤에는 아무도 메시지를 추가할 수 없으며 되돌릴 수 없습니다.",
    close_sure: "스트림 닫기",
    delete: "삭제",
    delete_ask: |name| {
        format!("{name} 스트림과 모든 메시지를 삭제하시겠습니까? 되돌릴 수 없습니다.")
    },
    delete_forks: |forks| {
        format!(
            "포크 {forks}개는 이어받은 메시지를 그대로 유지하며, 포크가 모두 없어질 때까지 이 이름은 다시 쓸 수 없습니다."
        )
    },
    delete_sure: "스트림 삭제",
    keep: "취소",
    closed_now: |name| format!("{name} 스트림을 닫았습니다."),
    deleted: |name| format!("{name} 스트림을 삭제했습니다."),
    created: |name| format!("{name} 스트림을 만들었습니다."),
    there_already: |name| format!("{name} 스트림이 같은 설정으로 이미 있습니다."),
    forked: |name| format!("{name} 스트림을 포크로 만들었습니다."),
    refused: |why| format!("요청이 거부되었습니다: {why}"),
    help_title: "이 화면에서 할 수 있는 일",
    help_intro: "이 서버의 모든 스트림을 표시합니다. 스트림을 선택하면 설정과 리더, 리더별 뒤처진 양(lag)을 확인하고, 메시지 추가, 실시간 읽기, 포크, 닫기, 삭제를 할 수 있습니다.",
    help: &[
        "수치는 탭이 보이는 동안 2초마다, 목록은 5초마다 다시 요청합니다.",
        "메시지의 오프셋을 클릭하면 포크 양식에 입력됩니다.",
        "뒤처진 양(lag)은 서버가 리더에 보낸 위치와 끝(tail) 사이의 바이트 수입니다.",
        "Long Polling은 응답을 기다리는 동안에만 리더로 셉니다. Polling은 리더가 아니라 일반 읽기로 셉니다.",
        "내보낸 파일에는 끝을 표시하는 줄이 있어 파일이 잘렸는지 확인할 수 있습니다. `tailwater import`로 가져오면 다시 스트림이 됩니다.",
    ],
    key_search: "검색란으로 이동",
    key_new: "새 스트림 만들기",
    key_append: "메시지 입력란으로 이동",
};

fn name_fault(fault: &NameFault) -> String {
    match fault {
        NameFault::Missing => "스트림 이름을 입력하세요. 예: logs/web".to_owned(),
        NameFault::Reserved => "`__ds` 아래의 이름은 서버가 사용합니다.".to_owned(),
        NameFault::Wrong(fault) => match fault {
            NameError::EmptySegment(_) => {
                "이름에 빈 경로 구간이 있습니다. 슬래시(/) 사이에 문자를 입력하세요.".to_owned()
            }
            NameError::DotSegment(_) => "경로 구간으로 `.`이나 `..`을 쓸 수 없습니다.".to_owned(),
            NameError::Control(at) => {
                format!("이름에 제어 문자가 있습니다(바이트 위치 {at}).")
            }
            NameError::TooLong { bytes, limit } => {
                format!("이름이 {bytes}바이트입니다. 최대 {limit}바이트까지 쓸 수 있습니다.")
            }
            NameError::TooManySegments { segments, limit } => {
                format!("이름의 경로 구간이 {segments}개입니다. 최대 {limit}개까지 쓸 수 있습니다.")
            }
            NameError::EscapedSlash => "이름에 `%2F`를 쓸 수 없습니다.".to_owned(),
            NameError::Encoding(_) => "이름의 퍼센트 인코딩이 올바르지 않습니다.".to_owned(),
        },
    }
}

fn subscription_status(is_paused: bool, status: &str) -> &'static str {
    match (is_paused, status) {
        (true, _) => "일시 정지 중",
        (false, "active") => "활성",
        (false, _) => "실패",
    }
}
