//! A table as a query names it: `flights`, `quarantine.flights`, `flights@3`.

use lw_engine::TableId;

/// A table at one of its versions, or at its newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    pub table: TableId,
    pub version: Option<u64>,
}

impl TableName {
    /// Reads the name of a table. `None` if no table can be called so; the planner then says what there is.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => (name, Some(version.parse().ok()?)),
        };
        Some(Self { table: TableId::parse(name).ok()?, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<(&str, Option<u64>)>) {
        let found = TableName::parse(text).map(|name| (name.table.to_string(), name.version));
        assert_eq!(found, want.map(|(table, version)| (table.to_owned(), version)), "{text}");
    }

    #[test]
    fn a_name_has_an_area_and_a_version() {
        check("flights", Some(("data/flights", None)));
        check("data.flights@3", Some(("data/flights", Some(3))));
        check("quarantine.flights@0", Some(("quarantine/flights", Some(0))));
        for odd in ["flights@", "flights@-1", "flights@3@4", "elsewhere.flights", "../flights", ""] {
            check(odd, None);
        }
    }
}
