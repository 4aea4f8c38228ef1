//! The servers that are compared, one in each file, and the selection of those that are measured.

pub(crate) mod limit;
mod peers;
pub(crate) mod protocol;
mod tailwater;

use crate::target::{BenchTarget, Role};
use crate::{BenchFault, CommonArguments};
use limit::LimitTarget;
use tailwater::Tailwater;

/// The name of a target on the command line, and the target, or why it can't be measured.
pub(crate) type KnownTarget = (String, Result<Box<dyn BenchTarget>, String>);

/// All targets, in the order of columns.
fn known(common: &CommonArguments) -> Vec<KnownTarget> {
    let mut all: Vec<KnownTarget> = vec![
        ("limit".into(), Ok(Box::new(LimitTarget { joined: false }))),
        (
            "limit-joined".into(),
            Ok(Box::new(LimitTarget { joined: true })),
        ),
    ];
    let binaries = [
        (
            "",
            "Tailwater",
            Role::Tailwater,
            Some(&common.server),
            &common.server_arguments,
        ),
        (
            "against",
            "against",
            Role::Against,
            common.against.as_ref(),
            &common.against_arguments,
        ),
    ];
    for (word, name, role, program, arguments) in binaries {
        for (store, sync) in [("memory", None), ("disk", Some(common.sync.clone()))] {
            let word = if word.is_empty() {
                store.to_owned()
            } else {
                format!("{word}-{store}")
            };
            let target = program
                .ok_or_else(|| "no --against was given".to_owned())
                .map(|program| {
                    let target = Tailwater {
                        name: if sync.is_some() {
                            format!("{name}, disk")
                        } else {
                            name.to_owned()
                        },
                        role,
                        program: program.clone(),
                        sync,
                        arguments: arguments.clone(),
                    };
                    Box::new(target) as Box<dyn BenchTarget>
                });
            all.push((word, target));
        }
    }
    all.extend(peers::known());
    all
}

/// The selected targets: those named by `--targets`, or else those in `usual`, also of the second binary, and every installed peer
/// (durable ones only if `usual` contains the disk store).
///
/// # Errors
/// [`BenchFault::Server`] for an unknown name, and for a target named by the user that can't be measured.
pub(crate) fn chosen(
    common: &CommonArguments,
    usual: &[&str],
) -> Result<Vec<Box<dyn BenchTarget>>, BenchFault> {
    let known = known(common);
    let words: Vec<&String> = known.iter().map(|(word, _)| word).collect();
    if let Some(unknown) = common.targets.iter().find(|name| !words.contains(name)) {
        return Err(BenchFault::Server(format!(
            "unknown target {unknown}; expected one of {words:?}"
        )));
    }
    let on_disk = usual.contains(&"disk");
    let mut chosen = Vec::new();
    for (word, target) in known {
        let named = common.targets.contains(&word);
        let own = usual
            .iter()
            .any(|usual| word == *usual || word.strip_prefix("against-") == Some(usual));
        // Durable peers are not compared with stores in memory.
        let fits = target
            .as_ref()
            .map_or(true, |target| !target.durable() || on_disk);
        let by_default = common.targets.is_empty() && (own || is_peer(&word) && fits);
        match target {
            Ok(target) if named || by_default => chosen.push(target),
            Err(why) if named => return Err(BenchFault::Server(format!("{word}: {why}"))),
            Err(why) if by_default && is_peer(&word) => eprintln!("{word} is skipped: {why}"),
            _ => {}
        }
    }
    Ok(chosen)
}

/// Whether it is neither LIMIT nor a Tailwater.
fn is_peer(word: &str) -> bool {
    !["limit", "limit-joined", "memory", "disk"].contains(&word) && !word.starts_with("against-")
}
