//! What is told: outcomes of phases and steps, and the status of the node.

pub mod outcome;
pub mod status;
