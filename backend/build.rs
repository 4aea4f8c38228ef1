//! With the feature `dashboard`: turns Trunk's `dist/` into the table that `src/http/assets.rs` serves.

#[cfg(feature = "dashboard")]
mod dashboard {
    //! Reads, hashes, compresses and writes; fails with a sentence when there is nothing to read.

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::path::{Path, PathBuf};
    use std::{env, fs, io};

    type Failure = Box<dyn std::error::Error>;

    /// Below this, an encoding saves less than its header costs.
    const WORTH_COMPRESSING: usize = 256;

    pub(super) fn embed() -> Result<(), Failure> {
        let backend = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
        let dist = backend.parent().unwrap_or(&backend).join("dist");
        // Cargo looks at a folder's files one by one, new ones included.
        say(&format!("rerun-if-changed={}", dist.display()))?;
        let page = match fs::read_to_string(dist.join("index.html")) {
            Ok(page) => page,
            Err(reason) => {
                return Ok(say(&format!(
                    "error=the feature `dashboard` puts dist/ into the server, but {} can't be read ({reason}). Build it \
                     first: `trunk build --release` in the workspace, or `cargo xtask serve`, which does both",
                    dist.join("index.html").display()
                ))?);
            }
        };
        let out = PathBuf::from(env::var("OUT_DIR")?);
        let encoded = out.join("encoded");
        // Files of an earlier build are removed.
        if encoded.exists() {
            fs::remove_dir_all(&encoded)?;
        }
        fs::create_dir_all(&encoded)?;
        let files = files_below(&dist)?
            .into_iter()
            .map(|path| {
                Ok((
                    path.strip_prefix(&dist)?
                        .to_string_lossy()
                        .replace('\\', "/"),
                    fs::read(&path)?,
                ))
            })
            .collect::<Result<BTreeMap<_, _>, Failure>>()?;
        let mut rows = String::new();
        for (name, content) in &files {
            rows.push_str(&row(name, content, &encoded)?);
        }
        let table = format!(
            "Dashboard {{ script_hashes: {:?}, style_hashes: {:?}, files: &[\n{rows}] }}\n",
            inline_hashes(&page, "script"),
            inline_hashes(&page, "style")
        );
        Ok(fs::write(out.join("dashboard.rs"), table)?)
    }

    /// One `File` of the table; its bytes go to files in `out`.
    fn row(name: &str, content: &[u8], out: &Path) -> Result<String, Failure> {
        let digest = Sha256::digest(content);
        let tag = digest
            .iter()
            .take(16)
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
        let keep = |suffix: &str, bytes: &[u8]| -> io::Result<String> {
            let path = out.join(format!("{tag}.{suffix}"));
            fs::write(&path, bytes)?;
            Ok(format!("include_bytes!({:?})", path.display().to_string()))
        };
        let smaller = |suffix: &str, bytes: Vec<u8>| -> io::Result<String> {
            let wins = content.len() >= WORTH_COMPRESSING && bytes.len() < content.len();
            if wins {
                Ok(format!("Some({})", keep(suffix, &bytes)?))
            } else {
                Ok("None".to_owned())
            }
        };
        let (media_type, compressible) = media_type(name);
        let (brotli, gzip) = if compressible {
            (
                smaller("br", brotli(content)?)?,
                smaller("gz", gzip(content)?)?,
            )
        } else {
            ("None".to_owned(), "None".to_owned())
        };
        Ok(format!(
            "    File {{ path: {name:?}, media_type: {media_type:?}, tag: {tag:?}, is_immutable: {}, identity: {}, \
             brotli: {brotli}, gzip: {gzip} }},\n",
            has_hash(name),
            keep("plain", content)?
        ))
    }

    /// All files below `folder` in a fixed order; names that begin with a dot are not for the public.
    fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if entry.file_type()?.is_dir() {
                files.extend(files_below(&entry.path())?);
            } else {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    }

    /// `Content-Type` by extension, and whether compressing can gain anything.
    fn media_type(name: &str) -> (&'static str, bool) {
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "html" => ("text/html; charset=utf-8", true),
            "css" => ("text/css; charset=utf-8", true),
            "js" | "mjs" => ("text/javascript; charset=utf-8", true),
            "wasm" => ("application/wasm", true),
            "json" | "map" => ("application/json", true),
            "webmanifest" => ("application/manifest+json", true),
            "svg" => ("image/svg+xml", true),
            "txt" => ("text/plain; charset=utf-8", true),
            "ico" => ("image/x-icon", true),
            "png" => ("image/png", false),
            "webp" => ("image/webp", false),
            "woff2" => ("font/woff2", false),
            _ => ("application/octet-stream", true),
        }
    }

    /// Whether a name ends in Trunk's hash: `app-3f2c1a9b.js`, `app-3f2c1a9b_bg.wasm`. Short ones may be words and are
    /// not trusted, which costs a 304 and no more.
    fn has_hash(name: &str) -> bool {
        let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
        let stem = stem.strip_suffix("_bg").unwrap_or(stem);
        stem.rsplit_once('-').is_some_and(|(_, hash)| {
            hash.len() >= 12
                && hash
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        })
    }

    /// What a content security policy calls the inline elements of that name: `'sha256-...' 'sha256-...'`.
    fn inline_hashes(page: &str, element: &str) -> String {
        let (opening, closing) = (format!("<{element}"), format!("</{element}>"));
        let mut sources = Vec::new();
        let mut rest = page;
        while let Some((_, after)) = rest.split_once(&opening) {
            let Some((attributes, body)) = after.split_once('>') else {
                break;
            };
            let Some((content, after)) = body.split_once(&closing) else {
                break;
            };
            if !attributes.contains("src=") && !content.is_empty() {
                sources.push(format!(
                    "'sha256-{}'",
                    STANDARD.encode(Sha256::digest(content))
                ));
            }
            rest = after;
        }
        sources.join(" ")
    }

    fn brotli(content: &[u8]) -> io::Result<Vec<u8>> {
        let mut writer = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 11, 22);
        writer.write_all(content)?;
        writer.flush()?;
        Ok(writer.into_inner())
    }

    fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(content)?;
        writer.finish()
    }

    /// A word to cargo.
    fn say(instruction: &str) -> io::Result<()> {
        writeln!(io::stdout(), "cargo::{instruction}")
    }
}

#[cfg(feature = "dashboard")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    dashboard::embed()
}

#[cfg(not(feature = "dashboard"))]
fn main() {
    use std::io::Write as _;
    // No files to embed, so no rerun is needed.
    let _ = writeln!(std::io::stdout(), "cargo::rerun-if-changed=build.rs");
}
