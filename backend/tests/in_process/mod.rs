//! The server in this process, on a free port, for as long as it is held.

use tailwater::config::Config;
use tailwater_harness::ServerThread;

/// Serves with these settings, of whose `listen` only the address counts.
pub(crate) fn serve(config: Config) -> ServerThread {
    ServerThread::start(config.listen.ip(), move |listener, shutdown| {
        actix_web::rt::System::new().block_on(tailwater::server::run(listener, config, shutdown))
    })
}
