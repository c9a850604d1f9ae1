//! The steps of the apply phase, in the order in which `apply` without a step runs them.

pub mod config;
pub mod host;
pub mod images;
pub mod service;
pub mod swap;
pub mod trust;
