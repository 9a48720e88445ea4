//! What bluetick promises, tried through its public doors.

mod architecture;
mod archive;
mod asking;
mod backup;
mod claims;
mod codec;
mod crash;
mod custody;
mod disk;
mod flips;
mod folder;
mod receipts;
mod retention;
mod rotation;
mod sending;
mod simulation;
mod store;
mod support;
mod torn;
mod trial;
mod trust;
mod upgrade;
