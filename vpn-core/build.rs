//! The migrations are compiled in: a changed or added file has to compile them in again.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
