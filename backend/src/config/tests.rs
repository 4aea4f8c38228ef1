//! The defaults of the settings, and the parsing of their values.

use super::values::{
    bytes_value, duration_value, path_value, public_url_value, sync_value, workers_value,
};
use super::*;
use clap::Parser;

#[derive(Parser)]
struct ParsedConfig {
    #[command(flatten)]
    config: Config,
}

#[test]
fn the_defaults_equal_those_of_the_command_line() {
    let parsed = ParsedConfig::parse_from(["tailwater"]).config;
    assert_eq!(format!("{parsed:?}"), format!("{:?}", Config::default()));
}

#[test]
fn a_public_url_can_be_followed_by_a_path() {
    assert_eq!(
        public_url_value("https://streams.example/").as_deref(),
        Ok("https://streams.example")
    );
    assert_eq!(
        public_url_value("http://h:8080/sub/").as_deref(),
        Ok("http://h:8080/sub")
    );
    for wrong in [
        "",
        "streams.example",
        "ftp://h/",
        "https://h/?a=1",
        "https://h/#a",
        "https://u@h/",
    ] {
        assert!(public_url_value(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn times_and_sizes_accept_the_usual_units() {
    assert_eq!(duration_value("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(duration_value("25"), Ok(Duration::from_secs(25)));
    assert_eq!(duration_value("1.5m"), Ok(Duration::from_secs(90)));
    assert_eq!(bytes_value("16MiB"), Ok(16 << 20));
    assert_eq!(bytes_value("65536"), Ok(65_536));
    assert_eq!(
        sync_value("50ms"),
        Ok(SyncMode::Within(Duration::from_millis(50)))
    );
    assert_eq!(
        (sync_value("always"), sync_value("never")),
        (Ok(SyncMode::Always), Ok(SyncMode::Never))
    );
    assert!(
        sync_value("sometimes").is_err_and(|why| why.contains("always") && why.contains("never"))
    );
    assert!(
        path_value("").is_err()
            && path_value("a\nb").is_err()
            && path_value("/var/lib/x y").is_ok()
    );
    for wrong in ["", "s", "-1s", "0s", "10 years", "48h"] {
        assert!(duration_value(wrong).is_err(), "{wrong}");
    }
    assert_eq!((workers_value("1"), workers_value("512")), (Ok(1), Ok(512)));
    assert!(
        workers_value("0").is_err()
            && workers_value("513").is_err()
            && workers_value("two").is_err()
    );
    for wrong in ["", "0", "MiB", "1TiBs", "99999999999999999999"] {
        assert!(bytes_value(wrong).is_err(), "{wrong}");
    }
}
