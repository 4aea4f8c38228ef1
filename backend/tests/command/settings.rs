//! Every setting has a flag, an environment variable and a help text, and takes effect.

use crate::command_line::{CommandServer, SERVE, output, tailwater};
use clap::{CommandFactory, Parser};
use tailwater::config::Config;

#[derive(Parser)]
struct SettingsCommand {
    #[command(flatten)]
    config: Config,
}

#[test]
fn every_setting_has_a_flag_a_variable_and_a_help_text() {
    let command = SettingsCommand::command();
    let settings: Vec<_> = command
        .get_arguments()
        .filter(|it| it.get_id() != "help")
        .collect();
    assert!(settings.len() >= 17, "{}", settings.len());
    for setting in settings {
        let flag = setting.get_long().expect("a flag");
        let name = format!("TAILWATER_{}", flag.replace('-', "_").to_uppercase());
        assert_eq!(
            setting.get_env().and_then(|name| name.to_str()),
            Some(&*name),
            "--{flag}"
        );
        assert!(
            setting
                .get_help()
                .is_some_and(|help| help.to_string().len() > 20),
            "--{flag}"
        );
    }
}

#[test]
fn every_setting_is_read_from_the_environment() {
    for setting in SettingsCommand::command()
        .get_arguments()
        .filter(|it| it.get_id() != "help")
    {
        let (flag, name) = (setting.get_long().unwrap(), setting.get_env().unwrap());
        if flag == "cors-origin" {
            continue; // Any text is a valid origin; the test below covers it.
        }
        let mut command = tailwater(&SERVE);
        if flag == "listen" {
            command = tailwater(&["serve"]);
        }
        let output = output(command.env(name, "not\na value"), b"");
        let error = output.stderr;
        assert_eq!(output.code, Some(2), "{name:?}: {error}");
        assert!(error.contains(&format!("--{flag}")), "{name:?}: {error}");
    }
}

#[test]
fn environment_settings_apply_and_flags_override_them() {
    let mut command = tailwater(&["serve", "--body-max", "8"]);
    for (name, value) in [
        ("LISTEN", "127.0.0.1:0"),
        ("STORE", "memory"),
        ("MEMORY_MAX", "1MiB"),
        ("BODY_MAX", "3"),
        ("CORS_ORIGIN", "https://a.example,https://b.example"),
        ("LAB", "1"),
        ("WORKERS", "1"),
        ("LONG_POLL_HOLD", "10ms"),
    ] {
        command.env(format!("TAILWATER_{name}"), value);
    }
    let server = CommandServer::of(&mut command);
    let text = "Content-Type: text/plain\r\n";
    let put = server.ask("PUT /v1/stream/it", text, "12345678");
    assert_eq!(put.status, 201, "{put:?}");
    let post = server.ask("POST /v1/stream/it", text, "123456789");
    assert_eq!(post.status, 413, "{post:?}");
    for (origin, status) in [
        ("https://a.example", 200),
        ("https://b.example", 200),
        ("https://c.example", 403),
    ] {
        let answer = server.ask("GET /v1/stream/it", &format!("Origin: {origin}\r\n"), "");
        assert_eq!(answer.status, status, "{origin}: {answer:?}");
    }
    let poll = server.ask("GET /v1/stream/it?offset=now&live=long-poll", "", "");
    assert_eq!(poll.status, 204, "{poll:?}");
}
