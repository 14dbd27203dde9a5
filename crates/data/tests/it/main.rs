//! Ingestion at its border: files in, tables, quarantine, records and errors out.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod bad_input;
mod batch_rules;
mod contracts;
mod definitions;
mod flights;
mod oracle;
mod project;
