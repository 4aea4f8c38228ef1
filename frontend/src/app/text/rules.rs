//! Checks two rules for Korean texts of docs/korean.md: units, and the level of politeness.

/// Units in Latin letters, which particles may follow: `75%는`.
const LATIN_UNITS: [&str; 14] = [
    "ms", "s", "min", "h", "d", "B", "kB", "KB", "KiB", "MB", "MiB", "GB", "GiB", "%",
];
const KOREAN_UNITS: [&str; 7] = ["초", "분", "시간", "일", "개", "회", "건"];

/// The violations of the rules in a Korean text; its numbers may be placeholders.
pub(crate) fn korean_faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, _) in text.match_indices(' ') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let until = |is_end: fn(char) -> bool| &after[..after.find(is_end).unwrap_or(after.len())];
        let latin = until(|it| !it.is_ascii_alphanumeric() && it != '%');
        let word = until(|it| !it.is_alphanumeric());
        let is_unit = LATIN_UNITS.contains(&latin) || KOREAN_UNITS.contains(&word);
        if is_unit && before.ends_with(|it: char| it.is_ascii_digit() || it == '}') {
            faults.push(format!("a space before the unit in: {text}"));
        }
    }
    let characters: Vec<char> = text.chars().collect();
    for (index, last) in characters.iter().enumerate() {
        let ends = characters
            .get(index + 1)
            .is_none_or(|next| !next.is_alphanumeric() && *next != ' ');
        let before = index
            .checked_sub(1)
            .map_or(' ', |before| characters[before]);
        match (before, last) {
            // `마다` is a particle; `필요`, `중요` and `주요` are nouns.
            ('니' | '마', '다') | ('세' | '필' | '중' | '주', '요') => {}
            (_, '다' | '요') if ends => {
                faults.push(format!(
                    "ends in `{before}{last}`, not in -습니다 or -세요: {text}"
                ));
            }
            _ => {}
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn has_hangul(text: &str) -> bool {
        text.chars().any(|it| ('가'..='힣').contains(&it))
    }

    /// The string literals of a line of code.
    fn literals(line: &str) -> Vec<String> {
        let line = line.replace("\\\"", "");
        let is_comment = line.trim_start().starts_with("//");
        let parts = line.split('"').skip(1).step_by(2);
        parts.filter(|_| !is_comment).map(str::to_owned).collect()
    }

    /// The Korean texts in a source file or page.
    fn texts(path: &Path, source: &str) -> Vec<String> {
        let is_korean = path.file_name().is_some_and(|name| name == "korean.rs");
        let is_page = path.extension().is_some_and(|it| it == "html");
        let all = source.lines().flat_map(|line| {
            if is_page {
                line.split(['<', '>']).map(str::to_owned).collect()
            } else {
                literals(line)
            }
        });
        // The other files also have English texts, and formats such as `{} ms`.
        all.filter(|text| is_korean || has_hangul(text)).collect()
    }

    fn collect(path: &Path, found: &mut Vec<String>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                collect(&entry.unwrap().path(), found);
            }
        } else if !path.ends_with("text/rules.rs") {
            found.extend(texts(path, &fs::read_to_string(path).unwrap()));
        }
    }

    fn all_texts() -> Vec<String> {
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        for place in ["src", "index.html"] {
            collect(&crate_folder.join(place), &mut found);
        }
        assert!(found.len() > 200, "found only {} texts", found.len());
        found
    }

    #[test]
    fn every_korean_text_keeps_to_the_rules() {
        let found = all_texts();
        let faults: Vec<String> = found.iter().flat_map(|text| korean_faults(text)).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// Words that Korean engineers do not use for these things; docs/korean.md has the terms.
    const FOREIGN_TERMS: [&str; 12] = [
        "폴링",
        "경주",
        "묻는",
        "탐침",
        "맥박",
        "갈래",
        "꼬리",
        "양상",
        "빈도",
        "한마디",
        "거절",
        "실험실",
    ];

    #[test]
    fn the_terms_are_those_of_the_field() {
        for text in all_texts() {
            let foreign = FOREIGN_TERMS.iter().find(|term| text.contains(**term));
            assert_eq!(foreign, None, "{text}");
        }
    }

    const FAULTY: [&str; 10] = [
        "{} ms",
        "약 20 s 더 필요",
        "Polling의 75 %는 빈 응답",
        "8 초",
        "메시지 3 개",
        "한 번 묻는다",
        "한 번 묻는다. 끝나지 않는 줄을 받습니다.",
        "서버가 켜져 있나요?",
        "기다려요",
        "{name}을 지운다, 되돌릴 수 없습니다.",
    ];

    const FAULTLESS: [&str; 6] = [
        "약 20초 더 필요",
        "평균 506ms, 예측 502±149ms",
        "2초마다, 목록은 5초마다 다시 요청합니다.",
        "여기나 셸에서 만들어 보세요:",
        "삭제하시겠습니까?",
        "2분 5초 동안 {} s3 스트림이 없습니다(다시 시도 중)",
    ];

    #[test]
    fn violations_of_the_rules_are_found() {
        for text in FAULTY {
            assert_eq!(korean_faults(text).len(), 1, "{text}");
        }
        for text in FAULTLESS {
            assert_eq!(korean_faults(text), [""; 0], "{text}");
        }
    }
}
