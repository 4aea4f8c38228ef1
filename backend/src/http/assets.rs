//! The dashboard's files, embedded in the binary in the encodings that browsers support.
//!
//! The build script (`backend/build.rs`, feature `dashboard`) compresses the files that Trunk left
//! in `dist/` and writes the table that this module serves. Files whose names contain a hash of
//! their content are cached indefinitely; the page itself is revalidated each time, and answered
//! with 304 when it is unchanged. All pages of the dashboard are at `/`. Any other path without an
//! extension also gets the page, with 404; it then shows that the path does not exist and links to
//! the pages that do. `/v1` is excluded, so that a wrong URL of the protocol gets a problem document.

use super::answer::no_store;
use actix_web::dev::RequestHead;
use actix_web::http::header::{
    self, AcceptEncoding, ContentEncoding, ETag, Encoding, EntityTag, Header as _, IfNoneMatch,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, guard, web};

/// A file of the dashboard.
#[derive(Debug)]
struct File {
    /// Path, without the leading slash.
    path: &'static str,
    /// `Content-Type`.
    media_type: &'static str,
    /// SHA-256 of the content, hexadecimal, shortened.
    tag: &'static str,
    /// Whether its name changes with its content.
    is_immutable: bool,
    /// The uncompressed content.
    identity: &'static [u8],
    /// The content in Brotli, if that is smaller.
    brotli: Option<&'static [u8]>,
    /// The content in gzip, if that is smaller.
    gzip: Option<&'static [u8]>,
}

/// All files, and the hashes of the page's inline scripts and styles.
#[derive(Debug)]
struct Dashboard {
    files: &'static [File],
    /// Sources for `script-src`: `'sha256-...'`, separated by spaces.
    script_hashes: &'static str,
    /// Sources for `style-src`, in the same form.
    style_hashes: &'static str,
}

#[cfg(feature = "dashboard")]
static EMBEDDED: Option<Dashboard> = Some(include!(concat!(env!("OUT_DIR"), "/dashboard.rs")));
#[cfg(not(feature = "dashboard"))]
static EMBEDDED: Option<Dashboard> = None;

/// The page served at `/` and, with 404, for other paths without an extension.
const PAGE: &str = "index.html";

/// The page served at `/` by a server without a dashboard.
const WITHOUT_DASHBOARD: &str = include_str!("without_dashboard.html");

/// Serves the dashboard; unknown files fall through to the app's default service.
pub fn configure(service: &mut web::ServiceConfig) {
    configure_with(service, EMBEDDED.as_ref());
}

fn configure_with(service: &mut web::ServiceConfig, dashboard: Option<&'static Dashboard>) {
    let is_served = guard::fn_guard(move |context| is_served_by(dashboard, context.head()));
    match dashboard {
        Some(dashboard) => {
            let answer = move |request: HttpRequest| async move { dashboard.answer(&request) };
            service.service(web::resource("/{path:.*}").guard(is_served).to(answer));
        }
        None => {
            let page = || async {
                no_store(HttpResponse::Ok())
                    .content_type("text/html; charset=utf-8")
                    .insert_header((
                        header::CONTENT_SECURITY_POLICY,
                        "default-src 'none'; style-src 'unsafe-inline'",
                    ))
                    .body(WITHOUT_DASHBOARD)
            };
            service.service(web::resource("/").guard(is_served).to(page));
        }
    }
}

/// Whether the dashboard answers a request.
pub(super) fn serve(head: &RequestHead) -> bool {
    is_served_by(EMBEDDED.as_ref(), head)
}

fn is_served_by(dashboard: Option<&'static Dashboard>, head: &RequestHead) -> bool {
    let path = head.uri.path();
    let exists = dashboard.map_or(path == "/", |dashboard| dashboard.find(path).is_some());
    exists && matches!(head.method, Method::GET | Method::HEAD)
}

impl Dashboard {
    /// The status and the file that are served at a path; `None` for paths of other services.
    fn find(&self, path: &str) -> Option<(StatusCode, &'static File)> {
        let path = path.strip_prefix('/')?;
        if path == "v1" || path.starts_with("v1/") {
            return None;
        }
        let named = |name: &str| self.files.iter().find(|file| file.path == name);
        if path.is_empty() {
            return named(PAGE).map(|page| (StatusCode::OK, page));
        }
        if let Some(file) = named(path) {
            return Some((StatusCode::OK, file));
        }
        let has_extension = path.rsplit('/').next().unwrap_or_default().contains('.');
        let page = (!has_extension).then(|| named(PAGE))?;
        page.map(|page| (StatusCode::NOT_FOUND, page))
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let Some((status, file)) = self.find(request.path()) else {
            return HttpResponse::NotFound().finish();
        };
        let (encoding, body) = file.encoded_for(request);
        let tag = EntityTag::new_strong(format!("{}-{}", file.tag, encoding.as_str()));
        let is_found = status == StatusCode::OK;
        // Conditions apply only to paths that exist, so a 404 is never replaced by 304.
        if is_found && is_unchanged(request, &tag) {
            return self
                .head(StatusCode::NOT_MODIFIED, file)
                .insert_header(ETag(tag))
                .finish();
        }
        let mut head = self.head(status, file);
        head.content_type(file.media_type);
        if is_found {
            head.insert_header(ETag(tag));
        }
        if encoding != ContentEncoding::Identity {
            head.insert_header(encoding);
        }
        head.body(body)
    }

    /// The headers of every response for a file.
    ///
    /// The opener and embedder policies isolate the page, which improves its clock's resolution
    /// from 100 to 5 microseconds.
    fn head(&self, status: StatusCode, file: &File) -> HttpResponseBuilder {
        let mut head = HttpResponse::build(status);
        let caching = if file.is_immutable {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        head.insert_header((header::CACHE_CONTROL, caching))
            .insert_header((header::VARY, "Accept-Encoding"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .insert_header((header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
            .insert_header((header::CROSS_ORIGIN_EMBEDDER_POLICY, "require-corp"))
            .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
            .insert_header((header::CONTENT_SECURITY_POLICY, self.policy()));
        head
    }

    /// The page may run its own scripts and wasm, and connect to its own server and to lanes on
    /// loopback; nothing else.
    fn policy(&self) -> String {
        let Self {
            script_hashes,
            style_hashes,
            ..
        } = self;
        let lanes = "http://127.0.0.1:* http://localhost:* ws://127.0.0.1:* ws://localhost:*";
        format!(
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' {script_hashes}; style-src 'self' {style_hashes}; \
             style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; manifest-src 'self'; \
             connect-src 'self' {lanes}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    }
}

impl File {
    /// The smallest of the encodings that the client prefers.
    fn encoded_for(&self, request: &HttpRequest) -> (ContentEncoding, &'static [u8]) {
        let plain = (ContentEncoding::Identity, self.identity);
        let offers: Vec<(ContentEncoding, &'static [u8])> = [
            self.brotli.map(|bytes| (ContentEncoding::Brotli, bytes)),
            self.gzip.map(|bytes| (ContentEncoding::Gzip, bytes)),
            Some(plain),
        ]
        .into_iter()
        .flatten()
        .collect();
        let encodings: Vec<Encoding> = offers
            .iter()
            .map(|(encoding, _)| Encoding::Known(*encoding))
            .collect();
        // For a header that is malformed or accepts no available encoding, the plain bytes.
        let wanted = AcceptEncoding::parse(request)
            .ok()
            .and_then(|accepted| accepted.negotiate(encodings.iter()));
        offers
            .into_iter()
            .find(|(encoding, _)| wanted == Some(Encoding::Known(*encoding)))
            .unwrap_or(plain)
    }
}

fn is_unchanged(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::MessageBody;
    use actix_web::dev::ServiceResponse;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, rt};

    const fn file(path: &'static str, media_type: &'static str, is_immutable: bool) -> File {
        File {
            path,
            media_type,
            tag: "0123abcd",
            is_immutable,
            identity: b"plain plain plain",
            brotli: Some(b"brotli"),
            gzip: Some(b"gzip"),
        }
    }

    static DASHBOARD: Dashboard = Dashboard {
        files: &[
            file("index.html", "text/html; charset=utf-8", false),
            file("app-0123abcd_bg.wasm", "application/wasm", true),
            File {
                brotli: None,
                gzip: None,
                ..file("icon.png", "image/png", false)
            },
        ],
        script_hashes: "'sha256-abc='",
        style_hashes: "",
    };

    /// The response of a server with `dashboard`; paths it does not serve get a 404 with the text
    /// `default`.
    async fn ask(
        dashboard: Option<&'static Dashboard>,
        request: TestRequest,
    ) -> ServiceResponse<impl MessageBody> {
        let app = App::new()
            .configure(|service| configure_with(service, dashboard))
            .default_service(web::to(|| async {
                HttpResponse::NotFound().body("default")
            }));
        call_service(&init_service(app).await, request.to_request()).await
    }

    fn get(path: &str) -> TestRequest {
        TestRequest::get().uri(path)
    }

    fn header_of(response: &ServiceResponse<impl MessageBody>, name: &str) -> String {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn unknown_paths_get_the_page_with_404_and_unknown_files_fall_through() {
        let cases = [
            ("/", StatusCode::OK, "text/html; charset=utf-8"),
            (
                "/?stream=logs/demo",
                StatusCode::OK,
                "text/html; charset=utf-8",
            ),
            ("/index.html", StatusCode::OK, "text/html; charset=utf-8"),
            ("/icon.png", StatusCode::OK, "image/png"),
            ("/app-0123abcd_bg.wasm", StatusCode::OK, "application/wasm"),
            ("/race", StatusCode::NOT_FOUND, "text/html; charset=utf-8"),
            (
                "/streams/logs/demo",
                StatusCode::NOT_FOUND,
                "text/html; charset=utf-8",
            ),
            ("/v10", StatusCode::NOT_FOUND, "text/html; charset=utf-8"),
            ("/v1", StatusCode::NOT_FOUND, ""),
            ("/v1/", StatusCode::NOT_FOUND, ""),
            ("/v1/nothing", StatusCode::NOT_FOUND, ""),
            ("/missing.js", StatusCode::NOT_FOUND, ""),
            ("/../Cargo.toml", StatusCode::NOT_FOUND, ""),
        ];
        rt::System::new().block_on(async {
            for (path, status, media_type) in cases {
                let response = ask(Some(&DASHBOARD), get(path)).await;
                let found = (response.status(), header_of(&response, "content-type"));
                if media_type.is_empty() {
                    assert_eq!(read_body(response).await, "default", "{path}");
                } else {
                    assert_eq!(found, (status, media_type.to_owned()), "{path}");
                }
            }
            let post = ask(Some(&DASHBOARD), TestRequest::post().uri("/")).await;
            assert_eq!(read_body(post).await, "default");
        });
    }

    #[test]
    fn the_best_accepted_encoding_is_served() {
        let cases = [
            ("/", "gzip, deflate, br, zstd", "br", "brotli"),
            ("/", "br;q=0.1, gzip", "gzip", "gzip"),
            ("/", "br;q=0, gzip;q=0", "", "plain plain plain"),
            ("/", "zstd", "", "plain plain plain"),
            ("/", "identity", "", "plain plain plain"),
            ("/", "", "", "plain plain plain"),
            ("/", "*;q=0", "", "plain plain plain"),
            ("/icon.png", "br, gzip", "", "plain plain plain"),
        ];
        rt::System::new().block_on(async {
            for (path, accepted, encoding, body) in cases {
                let response = ask(
                    Some(&DASHBOARD),
                    get(path).insert_header(("accept-encoding", accepted)),
                )
                .await;
                assert_eq!(
                    header_of(&response, "content-encoding"),
                    encoding,
                    "{path} {accepted}"
                );
                assert_eq!(header_of(&response, "vary"), "Accept-Encoding");
                assert_eq!(read_body(response).await, body, "{path} {accepted}");
            }
            let response = ask(Some(&DASHBOARD), get("/")).await;
            assert_eq!(read_body(response).await, "plain plain plain");
        });
    }

    #[test]
    fn only_hashed_names_are_cached_indefinitely() {
        rt::System::new().block_on(async {
            let cache_control = ask(Some(&DASHBOARD), get("/app-0123abcd_bg.wasm")).await;
            assert_eq!(
                header_of(&cache_control, "cache-control"),
                "public, max-age=31536000, immutable"
            );
            for path in ["/", "/race", "/icon.png"] {
                let asked_anew = ask(Some(&DASHBOARD), get(path)).await;
                assert_eq!(
                    header_of(&asked_anew, "cache-control"),
                    "no-cache",
                    "{path}"
                );
            }
        });
    }

    #[test]
    fn a_known_tag_gets_304_only_in_its_own_encoding() {
        rt::System::new().block_on(async {
            let first = ask(
                Some(&DASHBOARD),
                get("/").insert_header(("accept-encoding", "br")),
            )
            .await;
            let tag = header_of(&first, "etag");
            let again = |encoding: &'static str, tags: String| {
                get("/")
                    .insert_header(("accept-encoding", encoding))
                    .insert_header(("if-none-match", tags))
            };
            let same = ask(Some(&DASHBOARD), again("br", format!("\"other\", W/{tag}"))).await;
            assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(header_of(&same, "etag"), tag);
            assert!(read_body(same).await.is_empty());
            // A list may be split over several fields.
            let parted = get("/")
                .append_header(("accept-encoding", "zstd"))
                .append_header(("accept-encoding", "br"));
            let parted = parted
                .append_header(("if-none-match", "\"other\""))
                .append_header(("if-none-match", &*tag));
            assert_eq!(
                ask(Some(&DASHBOARD), parted).await.status(),
                StatusCode::NOT_MODIFIED
            );
            let elsewhere = get("/race")
                .insert_header(("accept-encoding", "br"))
                .insert_header(("if-none-match", &*tag));
            let elsewhere = ask(Some(&DASHBOARD), elsewhere).await;
            assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
            let other = ask(Some(&DASHBOARD), again("gzip", tag)).await;
            assert_eq!(other.status(), StatusCode::OK);
            assert_eq!(read_body(other).await, "gzip");
        });
    }

    #[test]
    fn the_page_is_isolated_and_connects_only_to_own_and_loopback() {
        rt::System::new().block_on(async {
            let response = ask(Some(&DASHBOARD), get("/")).await;
            assert_eq!(
                header_of(&response, "cross-origin-opener-policy"),
                "same-origin"
            );
            assert_eq!(
                header_of(&response, "cross-origin-embedder-policy"),
                "require-corp"
            );
            assert_eq!(
                header_of(&response, "cross-origin-resource-policy"),
                "same-origin"
            );
            assert_eq!(header_of(&response, "x-content-type-options"), "nosniff");
            let policy = header_of(&response, "content-security-policy");
            assert!(policy.starts_with(
                "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-abc='; "
            ));
            assert!(policy.contains(
                "connect-src 'self' http://127.0.0.1:* http://localhost:* ws://127.0.0.1:*"
            ));
            assert!(
                !policy.contains("'unsafe-eval'") && !policy.contains("script-src-attr"),
                "{policy}"
            );
        });
    }

    #[test]
    fn head_has_the_same_headers_without_the_body() {
        rt::System::new().block_on(async {
            let request = TestRequest::default()
                .method(Method::HEAD)
                .uri("/")
                .insert_header(("accept-encoding", "br"));
            let response = ask(Some(&DASHBOARD), request).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(header_of(&response, "content-encoding"), "br");
        });
    }

    #[test]
    fn without_a_dashboard_the_root_says_how_to_build_it() {
        rt::System::new().block_on(async {
            let response = ask(None, get("/")).await;
            assert_eq!(
                header_of(&response, "content-type"),
                "text/html; charset=utf-8"
            );
            let text = String::from_utf8(read_body(response).await.to_vec()).unwrap();
            assert!(text.contains("cargo xtask serve"), "{text}");
            let elsewhere = ask(None, get("/race")).await;
            assert_eq!(read_body(elsewhere).await, "default");
        });
    }
}
