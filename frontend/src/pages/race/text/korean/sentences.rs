//! The Korean sentences of the Race page that contain figures: the headline, the recommendation, costs and verdicts.

use tailwater_lab::{Advice, AdviceReason, Doubt, Finding, Verdict};
use tailwater_protocol::Technique;

use super::LANGUAGE;
use crate::numbers::{Unit, bound_ms, bytes, count, in_ms, ms, percent, plus_minus, span_ms};
use crate::pages::race::model::headline::{Cost, Headline, LaneGroup, Losses, Ranking};
use crate::pages::race::model::lane_summary::Measure;
use crate::pages::race::text::whole_s;
use crate::techniques::look;

/// An error bound: `±0.06ms`.
pub(super) fn within_ms(bound: f64) -> String {
    Unit::Millisecond.of(&plus_minus(&bound_ms(bound), LANGUAGE), LANGUAGE)
}

fn names(techniques: &[Technique]) -> String {
    let names: Vec<&str> = techniques
        .iter()
        .map(|technique| look(*technique).name_in_sentence.korean)
        .collect();
    names.join("·")
}

pub(super) fn headline(headline: &Headline) -> String {
    match headline {
        Headline::Connecting => "레인을 준비하는 중…".to_owned(),
        Headline::NoLanes => "켜진 레인이 없습니다. 레인을 켜면 시작합니다.".to_owned(),
        Headline::Missing(stream) => format!("{stream} 스트림이 아직 없습니다."),
        Headline::NoSource => {
            "이 서버에는 자체 이벤트가 없습니다. 읽을 스트림의 이름을 입력하세요.".to_owned()
        }
        Headline::Unreachable => "서버가 응답하지 않습니다.".to_owned(),
        Headline::Failed(why) => format!("스트림을 읽을 수 없습니다: {why}"),
        Headline::Closed { events } => {
            format!(
                "닫힌 스트림입니다. 모든 레인이 메시지 {}개를 끝까지 읽었습니다.",
                count(*events)
            )
        }
        Headline::Waiting { lanes, before: 0 } => {
            format!("레인 {lanes}개가 대기 중입니다. 아직 도착한 메시지가 없습니다.")
        }
        Headline::Waiting { lanes, before } => {
            format!(
                "레인 {lanes}개가 기존 메시지 {}개를 모두 읽고 대기 중입니다.",
                count(*before)
            )
        }
        Headline::First { lanes, events } => {
            format!(
                "레인 {lanes}개에 첫 이벤트 {}개가 도착하고 있습니다. 측정 중…",
                count(*events)
            )
        }
        Headline::Unfinished { bytes } => format!(
            "줄 하나의 {}바이트가 도착했지만 줄이 아직 끝나지 않았습니다. 텍스트와 바이너리 스트림의 메시지는 줄 단위로 셉니다.",
            count(*bytes as u64)
        ),
        Headline::Broken(losses) => broken(losses),
        Headline::Starved {
            failed,
            technique,
            client_ms,
        } => format!(
            "{}브라우저가 바빠 레인을 비교할 수 없습니다. {}의 이벤트 하나를 처리하는 데 브라우저가 {}를 씁니다.",
            failures(failed),
            look(*technique).name_in_sentence.korean,
            in_ms(*client_ms, LANGUAGE)
        ),
        Headline::Ranking(ranking) => sentence(ranking),
    }
}

fn broken(losses: &Losses) -> String {
    let name = look(losses.technique).name_in_sentence.korean;
    let lost = count(losses.lost);
    let failures = failures(&losses.failed);
    let mut text = if losses.fell_behind {
        format!(
            "{failures}{name}: 읽는 속도가 느려 서버가 먼저 삭제한 이벤트 {lost}개가 유실되었습니다."
        )
    } else {
        let repeated = count(losses.repeated);
        format!(
            "{failures}{name}: 이벤트 {lost}개 유실, {repeated}개 중복. 발생해서는 안 되는 오류입니다."
        )
    };
    if !losses.others.is_empty() {
        let others = names(&losses.others);
        text.push_str(&format!(
            " {others}에서도 이벤트가 유실되거나 중복되었습니다."
        ));
    }
    text
}

/// Names the lanes that failed.
fn failures(failed: &[Technique]) -> String {
    if failed.is_empty() {
        return String::new();
    }
    format!("{} 실패. ", names(failed))
}

fn sentence(ranking: &Ranking) -> String {
    let Ranking {
        failed, unmeasured, ..
    } = ranking;
    let lead = failures(failed);
    let rest = if unmeasured.is_empty() {
        String::new()
    } else {
        format!(", {} 아직 없음", names(unmeasured))
    };
    let end = if failed.is_empty() {
        "유실과 중복은 없습니다."
    } else {
        "나머지 레인에는 유실과 중복이 없습니다."
    };
    format!("{lead}{}{rest}. {end}", steps(ranking))
}

/// One figure, or the two ends of a range if they are written differently.
fn range_ms(group: &LaneGroup) -> String {
    let (from, to) = (ms(group.from_ms), ms(group.to_ms));
    let to = Unit::Millisecond.of(&to, LANGUAGE);
    if to == Unit::Millisecond.of(&from, LANGUAGE) {
        to
    } else {
        format!("{from}–{to}")
    }
}

fn steps(ranking: &Ranking) -> String {
    let Ranking {
        measure,
        lane_groups,
        interval_ms,
        ..
    } = ranking;
    let step = |(index, group): (usize, &LaneGroup)| {
        let mut who = names(&group.techniques);
        if group.techniques == [Technique::Poll] {
            who.push_str(&format!("({} 주기)", span_ms(*interval_ms, LANGUAGE)));
        }
        match (index, *measure) {
            (_, Measure::FromDue) => format!("{who} {}", range_ms(group)),
            (0, Measure::BehindFirst) if lane_groups.len() == 1 => {
                format!("{who} 모두 {} 이내", in_ms(group.to_ms.max(0.1), LANGUAGE))
            }
            (0, Measure::BehindFirst) => format!("{who} 가장 먼저"),
            (_, Measure::BehindFirst) => format!("{who} {} 뒤", range_ms(group)),
        }
    };
    let steps: Vec<String> = lane_groups.iter().enumerate().map(step).collect();
    let lead = match measure {
        Measure::FromDue => "예정 시각부터 이벤트 도착까지",
        Measure::BehindFirst => "메시지 도착 순서",
    };
    format!("{lead}: {}", steps.join(", "))
}

pub(super) fn advice(advice: &Advice) -> String {
    let name = look(advice.technique).name_in_sentence.korean;
    let reason = match advice.reason {
        AdviceReason::PollingSuffices => {
            "시간 안에 도착하고 연결을 열어 둘 필요가 없으며 바이트는 가장 적은 방식의 두 배 이하입니다"
        }
        AdviceReason::ClientsSend => {
            "시간 안에 도착하고 서버로 보내는 메시지가 요청 대신 프레임 하나입니다"
        }
        AdviceReason::Cheapest if advice.technique == Technique::Sse => {
            "시간 안에 도착하고 브라우저가 스스로 다시 연결하며 바이트는 가장 적은 방식의 두 배 이하입니다"
        }
        AdviceReason::Cheapest => "시간 안에 도착하고 비용이 가장 적거나 거의 같습니다",
        AdviceReason::Fastest => {
            "이 거리에서는 시간 안에 도착하는 방식이 없으며 그중 가장 빠릅니다"
        }
    };
    let interval = advice.interval_max.as_secs_f64() * 1_000.0;
    let change = if interval >= 1.0 {
        format!(
            "Polling은 주기가 {} 이하이면 시간 안에 도착합니다.",
            span_ms(interval.floor(), LANGUAGE)
        )
    } else {
        "Polling은 시간 안에 도착할 수 없습니다.".to_owned()
    };
    format!("{name}: {reason}. {change}")
}

pub(super) fn cost(cost: &Cost) -> String {
    let name = |technique: Technique| look(technique).name_in_sentence.korean;
    let mut text = format!(
        "이벤트당 바이트: {} {}, {} {}.",
        name(cost.least.0),
        bytes(cost.least.1),
        name(cost.most.0),
        bytes(cost.most.1)
    );
    if let Some(share) = cost.empty_polls.filter(|share| *share >= 0.005) {
        text.push_str(&format!(
            " Polling 요청의 {}는 빈 응답을 받았습니다.",
            percent(share, LANGUAGE)
        ));
    }
    text
}

pub(super) fn judged(verdict: Verdict) -> &'static str {
    match verdict.finding {
        Finding::Confirmed => "예측과 일치",
        Finding::Refuted => "예측과 불일치",
        Finding::Inconclusive { .. } => "판단 보류",
    }
}

pub(super) fn needs(doubt: Doubt) -> String {
    match doubt {
        Doubt::TooFew {
            more_s: Some(more_s),
        } => format!(
            "약 {} 더 필요",
            Unit::Second.of(&count(whole_s(more_s)), LANGUAGE)
        ),
        Doubt::TooFew { more_s: None } => "이벤트가 더 필요".to_owned(),
        Doubt::ClockUnsure { bound_ms: bound } => {
            format!("시계 오차({})가 커서 판단할 수 없음", within_ms(bound))
        }
        Doubt::BeforeItsTime { .. } => "이벤트가 예정 시각보다 먼저 도착함: 시계 오류".to_owned(),
        Doubt::FixedPhase { spread_ms } => format!(
            "위상이 고정되어 측정마다 최대 {} 다를 수 있음",
            within_ms(spread_ms)
        ),
        Doubt::SourceLate { late_ms } => {
            format!("이벤트 소스 자체가 {} 늦음", in_ms(late_ms, LANGUAGE))
        }
        Doubt::ClientBusy { client_ms } if client_ms < Doubt::BUSY_MS => format!(
            "차이가 작아 판단 불가: 브라우저 자체 소요 시간 최대 {}",
            in_ms(client_ms, LANGUAGE)
        ),
        Doubt::ClientBusy { client_ms } => {
            format!("브라우저가 바빴음(p99 {})", in_ms(client_ms, LANGUAGE))
        }
    }
}
