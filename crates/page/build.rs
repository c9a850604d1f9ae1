//! Gives the module the stack that a program has, and an end to its memory: what needs more fails, and does not take the browser's.
// A build script has no host::Host to go through.
#![allow(clippy::disallowed_methods)]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_TARGET_ARCH").is_some_and(|it| it == "wasm32") {
        for argument in ["-zstack-size=8388608", "--max-memory=1073741824"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
