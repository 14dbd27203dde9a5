//! The metadata database, the artifacts and the ledger.
