//! Proving that migrations do what they say, on servers where nothing can be broken.
//!
//! Nothing here may touch a server that holds a tenant's data.

pub mod scratch;
