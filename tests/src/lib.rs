//! What the end-to-end tests share: a [`Workbench`] that calls `cargo xtask` as a user does, and the
//! real scans they need.

mod call;
mod process;
mod real_data;
pub mod real_head;
mod workbench;

pub use call::{Call, Outcome, Running};
pub use process::descendants;
pub use real_data::{real_data, skip, unpack};
pub use workbench::{Task, Workbench, copy_folder, read, replace, workspace_root};
