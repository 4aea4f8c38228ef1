//! The table of pages: the router, the navigation, titles, keys and help read it.
//!
//! To add a page, add a folder beside the others and a row here.

use super::page::DashboardPage;
use crate::pages::{race, streams};

/// All pages, in the order of the navigation. The first one is shown at an address that names no page.
pub(super) static PAGES: [DashboardPage; 2] = [race::PAGE, streams::PAGE];
