//! The Korean texts of the Race page; docs/korean.md has the glossary and the rules.

mod sentences;

use sentences::{advice, cost, headline, judged, needs, within_ms};
use tailwater_protocol::lab::Pattern;

use super::{AdviceText, RaceText};
use crate::lanes::ReaderPlace;
use crate::language::Language;
use crate::numbers::{Unit, count, in_ms, ms, seconds, size, span_s, whole_seconds};
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::parts::draw::sequence::Detail;
use crate::pages::race::parts::presets::PathPreset;

const LANGUAGE: Language = Language::Korean;

pub(super) const TEXT: RaceText = RaceText {
    title: "Tailwater — 스트림 하나를 실시간으로 읽는 다섯 가지 방식",
    name: "비교",
    stream_link: "비교 화면에서 보기",
    skip: "비교 화면으로 건너뛰기",
    pause: "일시 정지",
    resume: "재개",
    step: "한 단계 앞으로",
    step_back: "한 단계 뒤로",
    export: "내보내기",
    export_json: "JSON",
    export_csv: "CSV",
    export_samples: "최근 표본",
    not_in_link: "링크에는 이 파일에 필요한 표본, 집계, 요청 기록이 없습니다",
    copy_link: "이 결과의 링크 복사",
    saved: "저장된 결과",
    added_delay: "추가 지연",
    measure_here: "여기서 측정하기",
    remove_saved: "저장된 결과 제거",
    broken_link: "링크에 저장된 결과를 읽을 수 없습니다. 링크가 손상되었거나 이 페이지의 다른 버전에서 만들어졌습니다. 지금 측정하는 값을 표시합니다.",
    headline,
    cost,
    announced: |state, headline| format!("{state}. {headline}"),
    phase,
    clock: |bound, probes| format!("시계 오차 {} 이내({probes}회 측정)", within_ms(bound)),
    clock_unknown: "시계 오차를 측정하는 중…",
    measured_for: |run_s| format!("{} 동안 측정함", span_s(whole_seconds(run_s), LANGUAGE)),
    readers: |place| match place {
        ReaderPlace::OwnWorkers => "레인마다 별도의 워커에서 읽습니다",
        ReaderPlace::OneWorker => "프로세서가 하나이므로 모든 레인을 워커 하나에서 읽습니다",
        ReaderPlace::Page => {
            "이 브라우저에서는 워커를 사용할 수 없어 레인과 그림이 한 스레드를 함께 쓰므로 서로 느려집니다"
        }
    },
    relay_counts: "바이트는 서버 소켓에서 측정하며 레인마다 포트가 다릅니다. 포트가 달라서 생기는 바이트는 제외하고 표에 따로 표시합니다",
    lab_off: "서버의 lab 기능이 꺼져 있어 레인들이 페이지와 같은 origin을 함께 쓰므로 헤더 바이트를 측정할 수 없습니다",
    none_free: "서버에 레인용 포트가 남아 있지 않아 레인들이 페이지와 같은 origin을 함께 쓰므로 헤더 바이트를 측정할 수 없습니다",
    ports_shut: "레인 전용 포트에 연결할 수 없어 레인들이 페이지와 같은 origin을 함께 쓰므로 헤더 바이트를 측정할 수 없습니다",
    hidden: |samples| {
        format!(
            "표본 {}개를 제외함: 탭이 가려져 있었거나 페이지가 실행되지 못했습니다",
            count(samples)
        )
    },
    behind_first: "이 메시지에는 예정 시각이 없어, 가장 먼저 받은 레인보다 늦은 정도를 지연으로 표시합니다",
    periodic: "주기적으로 발생하는 이벤트이므로 Polling의 지연은 요청과 이벤트 사이의 위상에 따라 달라지며, 위상은 무작위로 정해집니다",
    paused_note: "일시 정지했습니다. 측정은 계속되며 수치와 그림만 멈춰 있습니다.",
    from_tail: |skipped| {
        format!(
            "현재 시점부터 읽으며 이전 데이터({})는 읽지 않습니다",
            size(skipped, LANGUAGE)
        )
    },
    lanes: "레인",
    lane_switch: |name| format!("{name} 레인"),
    median: "p50",
    median_hint: "이벤트의 절반이 이 시간 안에 도착",
    p99: "p99",
    p99_hint: "이벤트 100개 중 99개가 이 시간 안에 도착",
    events: "이벤트",
    requests: "요청",
    empty: "빈 응답",
    bytes: "바이트/이벤트",
    body_bytes: "본문 바이트/이벤트",
    lost: "유실",
    repeated: "중복",
    request_every: |interval| format!("{interval}마다 요청합니다"),
    against: |mean_ms, predicted_ms, allowed_ms| {
        let predicted = match allowed_ms {
            Some(allowed_ms) => format!("{}{}", ms(predicted_ms), within_ms(allowed_ms)),
            None => in_ms(predicted_ms, LANGUAGE),
        };
        format!("평균 {}, 예측 {predicted}", in_ms(mean_ms, LANGUAGE))
    },
    predicts: |predicted_ms| format!("예측 평균 {}", in_ms(predicted_ms, LANGUAGE)),
    predicted: "예측 평균",
    no_prediction: "예정 시각이 없어 예측할 수 없음",
    judged,
    needs,
    sequence: "요청과 응답의 흐름",
    sequence_hint: |detail| match detail {
        Detail::Shapes => {
            "시간은 왼쪽에서 오른쪽으로 흐릅니다. 올라가는 회색 선은 요청, 내려오는 선은 응답입니다. 빈 도형은 이벤트의 예정 시각, 채운 도형은 도착 시각입니다."
        }
        Detail::Wires => {
            "이벤트가 많아 하나씩 선으로 그립니다. 내려오는 선 끝의 작은 표시가 도착 시각입니다. 서버 선 아래로 드리운 면은 서버에서 대기 중인 이벤트 수, 회색 선은 요청입니다."
        }
        Detail::Columns => {
            "이벤트가 너무 많아 개수로 그립니다. 클라이언트 선 위의 면은 도착한 이벤트 수(로그 눈금), 서버 선 아래로 드리운 면은 대기 중인 이벤트 수입니다."
        }
    },
    waterfall: "시간에 따른 요청",
    waterfall_hint: "옅은 색: 열린 요청. 짙은 색: 바이트. 눈금: 청크. 도형: 이벤트(자리가 있을 때). 빈 도형: 빈 응답.",
    distribution: "이벤트 지연 분포",
    distribution_hint: "가로축의 시간 안에 도착한 이벤트의 비율입니다. 실선은 측정값, 파선은 예측값입니다.",
    powers: "로그 눈금",
    value_hint: "차트를 가리키거나, 차트에 초점을 두고 ← → 키를 누르면 값을 읽을 수 있습니다.",
    value_within: |latency| format!("{latency} 이내"),
    value_due: "예정",
    value_received: "도착",
    value_latency: "지연",
    value_sent: "요청",
    value_lasted: "소요 시간",
    value_measured: "측정",
    value_predicted: "예측",
    server: "서버",
    client: "클라이언트",
    stepped: |by| {
        format!(
            "일시 정지 시점에서 {} {}",
            Unit::Second.of(&seconds(by.abs()), LANGUAGE),
            if by < 0.0 { "전" } else { "후" }
        )
    },
    as_table: "표로 보기",
    table_late: "레인별 지연(ms)과 집계",
    samples: "표본",
    mean: "평균",
    minimum: "최소",
    maximum: "최대",
    p90: "p90",
    request_heads: "요청 헤더",
    response_heads: "응답 헤더",
    framing: "프레이밍",
    bodies: "본문",
    client_time: "브라우저 평균",
    client_p99: "브라우저 p99",
    to_catch_up: "따라잡기 요청",
    own_port: "전용 포트 때문",
    connections: "열린 연결",
    since: "요청 시점(초 전)",
    response: "응답",
    open_requests: "레인별 최근 요청",
    body_column: "본문 바이트",
    lasted: "소요 시간(ms)",
    still_open: "진행 중",
    controls: "설정",
    stream: "스트림",
    source_host: "서버 상태 이벤트(초당 4건)",
    source_generator: "생성 이벤트",
    source_named: "직접 지정한 스트림",
    stream_name: "스트림 이름",
    stream_name_hint: "logs/demo",
    follow: "읽기 시작",
    generator: "이벤트",
    generator_hint: "발생률과 크기는 생성 이벤트에만, 발생 패턴은 서버 상태 이벤트에도 적용됩니다.",
    rate: "발생률",
    pattern: "발생 패턴",
    pattern_name: |pattern| match pattern {
        Pattern::Poisson => "푸아송",
        Pattern::Periodic => "일정 간격",
        Pattern::Burst => "10건씩 버스트",
    },
    size: "크기",
    timing: "타이밍",
    interval: "Polling 주기",
    hold: "Long Polling 대기 시간",
    hold_hint: "이벤트가 없을 때 서버가 응답을 미루는 최대 시간입니다.",
    path: "서버까지의 경로와 왕복 추가 지연",
    path_name: |path| match path {
        PathPreset::Machine => "같은 컴퓨터",
        PathPreset::City => "같은 도시",
        PathPreset::Country => "이웃 나라",
        PathPreset::Continent => "다른 대륙",
        PathPreset::Mobile => "모바일 네트워크(4G)",
    },
    path_own: "직접 입력",
    delay_up: "추가 지연(요청)",
    delay_down: "추가 지연(응답)",
    delay_none: "지연을 추가하지 않습니다. 지연을 추가하려면 lab 기능의 릴레이가 필요합니다.",
    delay_hint: "릴레이가 지연을 추가하므로 실제 네트워크에서처럼 레인 사이에 차이가 생깁니다.",
    window: "표시 구간",
    reset: "기본값으로 되돌리기",
    publish: "메시지 발행",
    publish_hint: "표시 중인 스트림에 메시지 하나를 추가합니다. JSON 스트림이면 그 메시지의 지연도 측정합니다.",
    publish_placeholder: "메시지를 입력하세요",
    send: "발행",
    sent: "발행했습니다",
    refused: |why| format!("발행하지 못했습니다: {why}"),
    latest: "마지막 메시지",
    nothing_yet: "아직 없음",
    waiting_title: "새 메시지를 기다리고 있습니다",
    waiting: |stream| {
        format!(
            "모든 레인이 {stream} 스트림의 끝에서 기다립니다. 여기나 셸에서 메시지를 추가해 보세요:"
        )
    },
    missing_title: "아직 없는 스트림입니다",
    missing: |stream| {
        format!(
            "이 서버에 {stream} 스트림이 없습니다. 생성되면 바로 읽기 시작합니다. 여기나 셸에서 만들어 보세요:"
        )
    },
    create: "만들기",
    or_append: "이어서 메시지 추가:",
    no_source_title: "읽을 스트림을 지정하세요",
    no_source: "이 서버는 lab 기능이 꺼져 있어 서버 상태 이벤트와 생성 이벤트가 없습니다. 스트림 이름을 입력하거나 셸에서 새로 만드세요:",
    gone: "서버가 실행 중인지 확인하세요. 페이지는 2초마다 다시 요청합니다. 실행 명령:",
    failed_title: "스트림을 읽을 수 없습니다",
    help_title: "화면 설명",
    help_intro: "스트림 하나를 다섯 가지 방식으로 동시에 읽습니다. 모두 같은 이벤트를 받으며, 지연과 비용이 다릅니다. HTTP로 읽는 방법은 Polling, Long Polling, Streaming의 세 가지이며, NDJSON과 SSE가 Streaming입니다. WebSocket은 연결을 업그레이드해 HTTP 대신 사용합니다.",
    key_lanes: "레인 켜기/끄기",
    key_pause: "일시 정지/재개",
    key_publish: "메시지 입력란으로 이동",
    key_step: "일시 정지 중 한 단계 앞으로, Shift와 함께 누르면 뒤로",
    key_filter: "스트림 이름 입력란으로 이동",
    measured_title: "측정 항목",
    measured: &[
        "지연은 이벤트 소스에서 이벤트가 예정된 시각부터, 그 이벤트를 완성하는 데이터 조각이 페이지의 스크립트에 도달한 시각까지입니다. 두 시계의 차이는 서버에 여러 번 요청해 측정하며, 그 측정의 최대 오차를 표시합니다. 중앙값 옆의 ± 값은 시계, 표본 수, 브라우저에서 생기는 오차의 합입니다.",
        "바이트는 서버 소켓에서 측정한 애플리케이션 계층의 바이트로, 양방향의 헤더, 프레이밍, 본문을 모두 포함합니다. TCP, IP, TLS가 쓰는 바이트는 포함하지 않습니다.",
        "예정 시각은 이벤트 소스가 이벤트를 추가하기로 정한 시각입니다. 소스가 늦게 추가하면 모든 레인이 같은 시간만큼 늦습니다.",
        "빈 응답은 이벤트가 없는 응답입니다. Polling은 이전 요청 뒤에 이벤트가 없었을 때, Long Polling은 대기 시간이 끝났을 때 빈 응답을 받습니다. 대기 시간은 서버가 Long Polling 요청의 응답을 미루는 최대 시간입니다.",
        "Long Polling에서는 응답이 끝난 뒤 다음 요청이 서버에 도착할 때까지 공백이 있습니다. 그 사이에 생긴 이벤트는 다음 요청을 기다리므로, 발생률이 높아지면 Long Polling은 Polling과 같아집니다.",
        "p50은 중앙값으로, 이벤트의 절반이 그 시간 안에 도착했습니다. p99 안에는 100개 중 99개가 도착했습니다.",
        "백분위수는 그보다 큰 표본이 두 개 이상일 때 표시합니다. p50은 표본 4개부터, p99는 200개부터입니다.",
        "레인의 첫 1초와 탭이 가려져 있던 구간은 제외합니다.",
        "서버와 브라우저가 같은 컴퓨터에 있으면 네트워크 지연이 거의 없습니다. 지연을 추가해 네트워크의 영향을 확인하세요.",
    ],
    advice: AdviceText {
        title: "사용할 방식 추천",
        within: "이벤트 95%의 도착 시간(ms)",
        clients: "클라이언트 수",
        clients_send: "클라이언트도 메시지를 보냄",
        sentence: advice,
        unknown: "발생률과 전송 시간을 아직 알 수 없습니다.",
        table: "현재 비교의 발생률, 크기, 전송 시간, 주기에서 모든 클라이언트가 쓰는 자원",
        latency: "p95(ms)",
        requests: "요청/초",
        bytes: "MB/시간",
        connections: "열린 연결",
        source: "바이트",
        measured: "여기서 측정",
        computed: "계산",
    },
    foot: "지연은 예정 시각부터 페이지의 스크립트에 도달하기까지입니다. 바이트는 서버 소켓에서 측정한 애플리케이션 계층의 바이트입니다.",
};

fn phase(phase: LanePhase) -> &'static str {
    match phase {
        LanePhase::Off => "꺼짐",
        LanePhase::Connecting => "연결 중",
        LanePhase::CatchingUp => "따라잡는 중",
        LanePhase::Live => "실시간",
        LanePhase::Retrying => "다시 시도 중",
        LanePhase::Ended => "종료됨",
        LanePhase::Failed => "실패",
    }
}
