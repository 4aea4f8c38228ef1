//! A server in this process, on a free port, until it is dropped.

use tailwater::config::Config;
use tailwater_harness::ServerThread;

/// Starts a server with these settings. Of `listen` only the address is used, not the port.
pub(crate) fn serve(config: Config) -> ServerThread {
    ServerThread::start(config.listen.ip(), move |listener, shutdown| {
        actix_web::rt::System::new().block_on(tailwater::server::run(listener, config, shutdown))
    })
}
