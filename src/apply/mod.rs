//! What we do to one schema: a plan becomes messages, a message becomes one transaction.
//!
//! The heart of tenantry. A message enters (lock, fence, revision and OID checked), runs the scripts as they are written,
//! and leaves (asserts, history, head) before it commits: so DDL and its record are committed together or not at all. Only
//! what cannot be in a transaction is carried by itself, with a word in the record before it and one after.

mod alone;
mod built;
mod carry;
mod compile;
mod cut;
mod failure;
mod group;
mod ladder;
mod limits;
mod notice;
mod patience;
mod template;
mod turn;

pub use alone::Alone;
pub use carry::{Carried, Carrier};
pub use compile::{Audit, Compiled, Cut, Part, compile};
pub use failure::{Failure, Place};
pub use group::{Group, Together};
pub use ladder::Rung;
pub use limits::Limits;
pub use notice::Noticed;
pub use patience::Patience;
pub use template::{Sent, Template};
pub use turn::Turn;
