//! The echo client.
