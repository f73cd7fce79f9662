//! What the end-to-end tests share: a [`Workbench`] that calls `cargo xtask` as a user does, and the
//! real scans they need.

mod browser;
mod call;
mod process;
pub mod real_head;
mod skip;
mod workbench;

pub use browser::{Browser, Rectangle, axe};
pub use call::{Call, Outcome, Running};
pub use process::descendants;
pub use skip::{has_python, has_time, missing, real_data, unpack};
pub use workbench::{Task, Workbench, copy_folder, read, replace, workspace_root};
