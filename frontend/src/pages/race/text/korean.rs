//! What the Race page says in Korean.

use tailwater_lab::{Doubt, Finding, Verdict};
use tailwater_protocol::Technique;
use tailwater_protocol::lab::Pattern;

use super::RaceText;
use super::english::whole_s;
use crate::app::language::Language;
use crate::numbers::{
    Unit, bound_ms, bytes, count, in_ms, ms, percent, plus_minus, seconds, size, span_ms,
};
use crate::pages::race::model::headline::{Cost, Headline, Rung};
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::lane_summary::Measure;
use crate::techniques::look;

const LANGUAGE: Language = Language::Korean;

/// 한국어.
pub(super) const TEXT: RaceText = RaceText {
    title: "Tailwater — 스트림 하나를 따라가는 다섯 가지 방법",
    name: "경주",
    stream_link: "경주에 올리기",
    skip: "경주로 건너뛰기",
    pause: "멈춤",
    resume: "계속",
    step: "한 걸음 앞으로",
    step_back: "한 걸음 뒤로",
    export: "내보내기",
    export_json: "JSON",
    export_csv: "CSV",
    export_samples: "표본",
    headline,
    cost,
    announced: |state, headline| format!("{state}. {headline}"),
    phase,
    clock: |bound, probes| format!("시계 오차 {} 이내 (탐침 {probes}회)", within_ms(bound)),
    clock_unknown: "시계를 맞추어 보는 중…",
    relay_counts: "바이트는 서버 소켓에서 셈, 레인마다 포트가 따로 있음",
    lab_off: "서버의 실험실이 꺼져 있음: 레인들이 페이지의 출처를 함께 쓰며 헤더 바이트는 셀 수 없음",
    none_free: "서버에 레인을 위한 포트가 남지 않음: 레인들이 페이지의 출처를 함께 쓰며 헤더 바이트는 셀 수 없음",
    ports_shut: "레인 전용 포트에 닿을 수 없음: 레인들이 페이지의 출처를 함께 쓰며 헤더 바이트는 셀 수 없음",
    hidden: |samples| {
        format!(
            "표본 {}개는 버림: 탭이 가려져 있었거나 페이지가 멈춰 있었음",
            count(samples)
        )
    },
    behind_first: "이 메시지에는 예정 시각이 없습니다. ‘늦음’은 같은 메시지를 가장 먼저 받은 레인보다 늦은 정도입니다",
    paused_note: "멈춤. 측정은 계속되며 숫자와 그림만 멈춰 있습니다.",
    server_gone: "서버가 답하지 않습니다. 페이지가 계속 시도하며, 되면 스스로 이어 갑니다.",
    from_tail: |skipped| {
        format!(
            "지금부터 따라감; 앞의 {}는 읽지 않음",
            size(skipped, LANGUAGE)
        )
    },
    lanes: "레인",
    lane_switch: |name| format!("{name} 레인"),
    median: "p50",
    p99: "p99",
    events: "이벤트",
    requests: "요청",
    empty: "빈 응답",
    bytes: "바이트/이벤트",
    body_bytes: "본문 바이트/이벤트",
    lost: "유실",
    repeated: "중복",
    asks_every: |interval| format!("{interval}마다 묻는다"),
    against: |mean_ms, predicted_ms, allowed_ms| {
        let predicted = match allowed_ms {
            Some(allowed_ms) => format!("{}{}", ms(predicted_ms), within_ms(allowed_ms)),
            None => in_ms(predicted_ms, LANGUAGE),
        };
        format!("평균 {}, 예측 {predicted}", in_ms(mean_ms, LANGUAGE))
    },
    predicts: |predicted_ms| format!("예측 평균 {}", in_ms(predicted_ms, LANGUAGE)),
    predicted: "예측 평균",
    no_prediction: "예정 시각이 없어 예측하지 않음",
    judged,
    needs,
    sequence: "선 위에서 일어나는 일",
    sequence_hint: "시간은 오른쪽으로 흐릅니다. 올라가는 회색 선은 요청, 내려오는 선은 돌아오는 것. 빈 도형: 이벤트가 예정된 때. 찬 도형: 도착한 때.",
    waterfall: "시간에 따른 요청",
    waterfall_hint: "옅음: 열린 채 기다림. 짙음: 바이트. 눈금: 조각. 도형: 이벤트.",
    distribution: "이벤트가 얼마나 늦게 오는가",
    distribution_hint: "그만큼 지나기 전에 도착한 이벤트의 비율. 실선: 측정. 점선: 예측.",
    powers: "로그 눈금",
    server: "서버",
    client: "클라이언트",
    stepped: |by| {
        format!(
            "멈춘 순간보다 {} {}",
            Unit::Second.of(&seconds(by.abs()), LANGUAGE),
            if by < 0.0 { "앞" } else { "뒤" }
        )
    },
    as_table: "표로 보기",
    table_late: "레인별 늦음(밀리초)과 집계",
    samples: "표본",
    mean: "평균",
    minimum: "최소",
    maximum: "최대",
    p90: "p90",
    request_heads: "요청 헤더",
    response_heads: "응답 헤더",
    framing: "프레이밍",
    bodies: "본문",
    connections: "연결",
    since: "보낸 때 (초 전)",
    answer: "응답",
    open_requests: "레인별 최근 요청",
    body_column: "본문 바이트",
    lasted: "걸린 시간 (ms)",
    still_open: "열려 있음",
    controls: "조절",
    stream: "스트림",
    source_host: "이 서버의 맥박",
    source_generator: "만들어 낸 이벤트",
    source_named: "내 스트림",
    stream_name: "스트림 이름",
    stream_name_hint: "logs/demo",
    follow: "따라가기",
    generator: "만들어 낸 이벤트",
    generator_hint: "빈도, 양상, 크기는 만들어 낸 이벤트에만 해당합니다.",
    rate: "빈도",
    pattern: "양상",
    pattern_name: |pattern| match pattern {
        Pattern::Poisson => "푸아송",
        Pattern::Periodic => "일정 간격",
        Pattern::Burst => "10개씩 몰아서",
    },
    size: "크기",
    timing: "시간",
    interval: "폴링 주기",
    hold: "롱 폴링 대기",
    delay_up: "올라가는 지연",
    delay_down: "내려오는 지연",
    delay_hint: "중계기가 지연을 더해, 실제 네트워크에서처럼 레인들이 달라집니다.",
    window: "보이는 시간",
    reset: "모두 처음으로",
    publish: "보내기",
    publish_hint: "지금 보이는 스트림에 메시지 하나를 덧붙입니다. JSON 스트림이면 늦음도 잽니다.",
    publish_placeholder: "한마디",
    send: "보내기",
    sent: "보냄",
    refused: |why| format!("보내지 못함: {why}"),
    latest: "마지막 메시지",
    nothing_yet: "아직 없음",
    quiet_title: "듣고 있습니다. 아직 새로 온 것이 없습니다",
    quiet: |stream| {
        format!("모든 레인이 {stream}의 끝에서 기다립니다. 여기서나 셸에서 무언가 덧붙여 보세요:")
    },
    missing_title: "아직 그런 스트림이 없습니다",
    missing: |stream| {
        format!(
            "이 서버에 {stream} 스트림이 없습니다. 생기는 대로 따라갑니다. 여기서나 셸에서 만들어 보세요:"
        )
    },
    create: "만들기",
    or_append: "그리고 덧붙이기:",
    no_source_title: "어느 스트림을 볼까요?",
    no_source: "이 서버의 실험실이 꺼져 있어 맥박도 만들어 낸 이벤트도 없습니다. 스트림 이름을 적거나 셸에서 하나 시작해 보세요:",
    gone_title: "서버가 답하지 않습니다",
    gone: "서버가 켜져 있나요? 페이지는 2초마다 다시 묻습니다. 켜는 방법:",
    failed_title: "스트림을 따라갈 수 없습니다",
    help_title: "여기서 보이는 것",
    help_intro: "스트림 하나를 다섯 가지 방식으로 한꺼번에 따라갑니다. 모두 같은 이벤트를 받으며, 얼마나 늦게 오는지와 얼마나 드는지가 다릅니다.",
    key_lanes: "레인 켜고 끄기",
    key_pause: "멈춤과 계속",
    key_publish: "보내기 칸으로",
    key_step: "멈춘 동안 한 걸음 앞으로, Shift와 함께 뒤로",
    key_filter: "스트림 이름으로",
    measured_title: "무엇을 재는가",
    measured: &[
        "늦음은 이벤트가 근원에서 예정된 순간부터, 그것을 완성한 데이터 조각이 페이지의 스크립트에 닿은 순간까지입니다. 두 시계는 탐침으로 맞추어 보며, ± 값은 그 비교가 틀릴 수 있는 한계입니다.",
        "바이트는 서버 소켓에서의 응용 계층 바이트입니다. 양방향의 헤더, 프레이밍, 본문을 더하며 TCP·IP·TLS는 들어 있지 않습니다.",
        "백분위수는 그 너머에 표본이 둘은 있을 때 보입니다. p50은 4개부터, p99는 200개부터입니다.",
        "레인의 첫 1초와 탭이 가려져 있던 동안은 빼놓습니다.",
        "서버와 브라우저가 한 기계에 있으면 거리가 없습니다. 지연을 더해 네트워크가 하는 일을 보세요.",
    ],
    foot: "늦음은 예정 시각부터 페이지의 스크립트까지. 바이트는 서버 소켓에서의 응용 계층 바이트.",
};

fn phase(phase: LanePhase) -> &'static str {
    match phase {
        LanePhase::Off => "꺼짐",
        LanePhase::Connecting => "연결 중",
        LanePhase::CatchingUp => "따라잡는 중",
        LanePhase::Live => "실시간",
        LanePhase::Retrying => "다시 시도 중",
        LanePhase::Ended => "끝남",
        LanePhase::Failed => "실패",
    }
}

/// A bound to both sides: `±0.06ms`.
fn within_ms(bound: f64) -> String {
    Unit::Millisecond.of(&plus_minus(&bound_ms(bound), LANGUAGE), LANGUAGE)
}

fn names(techniques: &[Technique]) -> String {
    let names: Vec<&str> = techniques
        .iter()
        .map(|technique| look(*technique).spoken.korean)
        .collect();
    names.join("·")
}

fn headline(headline: &Headline) -> String {
    match headline {
        Headline::Connecting => "레인을 준비하는 중…".to_owned(),
        Headline::NoLanes => "켜진 레인이 없습니다. 하나를 켜면 시작합니다.".to_owned(),
        Headline::Missing(stream) => format!("{stream} 스트림이 아직 없습니다."),
        Headline::NoSource => {
            "이 서버에는 스스로 내는 이벤트가 없습니다. 따라갈 스트림의 이름을 적어 주세요."
                .to_owned()
        }
        Headline::Unreachable => "서버가 답하지 않습니다.".to_owned(),
        Headline::Failed(why) => format!("스트림을 따라갈 수 없습니다: {why}"),
        Headline::Closed { events } => {
            format!(
                "닫힌 스트림입니다. 모든 레인이 메시지 {}개를 끝까지 읽었습니다.",
                count(*events)
            )
        }
        Headline::Quiet { lanes, before: 0 } => {
            format!("레인 {lanes}개가 듣고 있습니다. 아직 온 것이 없습니다.")
        }
        Headline::Quiet { lanes, before } => {
            format!(
                "레인 {lanes}개가 메시지 {}개를 따라잡고 듣고 있습니다.",
                count(*before)
            )
        }
        Headline::First { lanes, events } => {
            format!(
                "첫 이벤트 {}개가 레인 {lanes}개에 도착했습니다. 재는 중…",
                count(*events)
            )
        }
        Headline::Broken {
            technique,
            lost,
            repeated,
        } => format!(
            "{}: 유실 {}, 중복 {}. 있어서는 안 되는 일입니다.",
            look(*technique).spoken.korean,
            count(*lost),
            count(*repeated)
        ),
        Headline::Ladder {
            measure,
            rungs,
            interval_ms,
        } => ladder(*measure, rungs, *interval_ms),
    }
}

fn ladder(measure: Measure, rungs: &[Rung], interval_ms: f64) -> String {
    let step = |(index, rung): (usize, &Rung)| {
        let mut who = names(&rung.techniques);
        if rung.techniques == [Technique::Poll] {
            who.push_str(&format!("({}마다)", span_ms(interval_ms, LANGUAGE)));
        }
        match (index, measure) {
            (_, Measure::FromDue) => format!("{who} {}", in_ms(rung.late_ms, LANGUAGE)),
            (0, Measure::BehindFirst) if rungs.len() == 1 => {
                format!("{who} 모두 {} 안", in_ms(rung.late_ms.max(0.1), LANGUAGE))
            }
            (0, Measure::BehindFirst) => format!("{who} 가장 먼저"),
            (_, Measure::BehindFirst) => format!("{who} {} 뒤", in_ms(rung.late_ms, LANGUAGE)),
        }
    };
    let steps: Vec<String> = rungs.iter().enumerate().map(step).collect();
    let lead = match measure {
        Measure::FromDue => "이벤트가 예정 시각부터 보이기까지",
        Measure::BehindFirst => "메시지가 도착한 순서",
    };
    format!("{lead}: {}. 유실도 중복도 없습니다.", steps.join(", "))
}

fn cost(cost: &Cost) -> String {
    let name = |technique: Technique| look(technique).spoken.korean;
    let mut text = format!(
        "이벤트 하나에 드는 바이트: {} {}, {} {}",
        name(cost.least.0),
        bytes(cost.least.1),
        name(cost.most.0),
        bytes(cost.most.1)
    );
    if let Some(share) = cost.empty_polls.filter(|share| *share >= 0.005) {
        text.push_str(&format!("; 폴링의 {}는 빈 응답", percent(share, LANGUAGE)));
    }
    text.push('.');
    text
}

fn judged(verdict: Verdict) -> &'static str {
    match verdict.finding {
        Finding::Confirmed => "예측과 맞음",
        Finding::Refuted => "예측과 다름",
        Finding::Inconclusive { .. } => "아직 모름",
    }
}

fn needs(doubt: Doubt) -> String {
    match doubt {
        Doubt::TooFew {
            more_s: Some(more_s),
        } => format!("약 {}초 더 필요", count(whole_s(more_s))),
        Doubt::TooFew { more_s: None } => "이벤트가 더 필요".to_owned(),
        Doubt::Hidden => "탭이 가려져 있었음".to_owned(),
        Doubt::ClockStepped => "시계가 바뀌었거나 잠들었음".to_owned(),
        Doubt::ClockUnsure { bound_ms: bound } => {
            format!("시계를 {}까지만 앎", within_ms(bound))
        }
        Doubt::BeforeItsTime { .. } => "이벤트가 예정보다 먼저 옴: 시계가 틀림".to_owned(),
        Doubt::SourceLate { late_ms } => format!("근원 자체가 {} 늦음", in_ms(late_ms, LANGUAGE)),
    }
}
