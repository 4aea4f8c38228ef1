//! The servers that are compared, each a file, and which of them take part.

pub(crate) mod limit;
mod peers;
pub(crate) mod protocol;
mod tailwater;

use crate::target::{BenchTarget, Role};
use crate::{BenchFault, CommonArguments};
use limit::LimitTarget;
use tailwater::Tailwater;

/// A target by the word that chooses it, or why it can't take part here.
pub(crate) type KnownTarget = (String, Result<Box<dyn BenchTarget>, String>);

/// Everything that could take part, in the order of columns.
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

/// Who takes part: those named by `--targets`, or else those of `usual`, the second binary as the first, and every peer that is installed
/// (those that write to a medium only if `usual` has the disk).
///
/// # Errors
/// [`BenchFault::Server`] for a name that nothing has, and for a target named by the user that can't take part.
pub(crate) fn chosen(
    common: &CommonArguments,
    usual: &[&str],
) -> Result<Vec<Box<dyn BenchTarget>>, BenchFault> {
    let known = known(common);
    let words: Vec<&String> = known.iter().map(|(word, _)| word).collect();
    if let Some(unknown) = common.targets.iter().find(|name| !words.contains(name)) {
        return Err(BenchFault::Server(format!(
            "no target is called {unknown}; there are {words:?}"
        )));
    }
    let on_disk = usual.contains(&"disk");
    let mut chosen = Vec::new();
    for (word, target) in known {
        let named = common.targets.contains(&word);
        let own = usual
            .iter()
            .any(|usual| word == *usual || word.strip_prefix("against-") == Some(usual));
        // Peers on a medium are no match for stores in memory.
        let fits = target
            .as_ref()
            .map_or(true, |target| !target.durable() || on_disk);
        let by_default = common.targets.is_empty() && (own || is_peer(&word) && fits);
        match target {
            Ok(target) if named || by_default => chosen.push(target),
            Err(why) if named => return Err(BenchFault::Server(format!("{word}: {why}"))),
            Err(why) if by_default && is_peer(&word) => eprintln!("{word} is left out: {why}"),
            _ => {}
        }
    }
    Ok(chosen)
}

/// Whatever is neither LIMIT nor a Tailwater.
fn is_peer(word: &str) -> bool {
    !["limit", "limit-joined", "memory", "disk"].contains(&word) && !word.starts_with("against-")
}
