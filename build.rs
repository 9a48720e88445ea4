//! Tells cargo that the pages are part of the program: a file that is added to them is a change too.

fn main() {
    println!("cargo::rerun-if-changed=web");
}
