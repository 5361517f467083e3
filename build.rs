//! Leaves the unwind tables out of the release binaries: a tenth of their size.
//!
//! Nobody reads them there. A panic aborts (`[profile.release]`), and the daemon leaves no core
//! dump for a debugger. The compiler's own switch does not help: it cannot be set for one profile,
//! and the standard library comes with its tables. Set `C2C_KEEP_UNWIND_TABLES` to keep them, for a
//! profiler.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=no-unwind-tables.ld");
    println!("cargo::rerun-if-env-changed=C2C_KEEP_UNWIND_TABLES");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && var("C2C_KEEP_UNWIND_TABLES").is_err() {
        let root = var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{root}/no-unwind-tables.ld");
    }
}
