//! Checks of feature views against the columns of the tables and views they read. Pure: nothing is read but schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema, SchemaRef};
use lw_core::{DataType, Error, Field, Name, Result, Schema};
use lw_engine::{from_arrow_schema, look_ahead, plan_schema, table_names, to_arrow};
use serde::{Deserialize, Serialize};

use crate::ViewDefinition;
use crate::failures::{BAD_FEATURE_VIEW, FEATURE_COLUMN_MISSING, FEATURE_CYCLE, FEATURE_LOOKS_AHEAD, FEATURE_TYPE_MISMATCH};

/// What a checked view yields and reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The entity columns with their types, in the order of the definition.
    pub entity: Vec<Field>,
    /// The features with their types, by name.
    pub features: Vec<Field>,
    /// The tables and views that the SQL reads, as it names them.
    pub reads: Vec<String>,
}

impl Relation {
    /// The columns that other views and joins see.
    pub fn schema(&self, view: &ViewDefinition) -> SchemaRef {
        let time = |name: &str| ArrowField::new(name, to_arrow(DataType::Timestamp), true);
        let column = |field: &Field| ArrowField::new(&field.name, to_arrow(field.data_type), true);
        let mut fields: Vec<ArrowField> = self.entity.iter().map(column).collect();
        fields.push(time(&view.event_time));
        fields.extend((view.known_column() != view.event_time).then(|| time(view.known_column())));
        fields.extend(self.features.iter().map(column));
        Arc::new(ArrowSchema::new(fields))
    }
}

/// Checks one view: its shape, its SQL, that every column it declares is there with the declared type, and that no row provably knows
/// what happened after it.
///
/// `relations` are the tables by name and the schemas of the views checked before it (see [`dependency_order`]).
pub fn check_view(view: &ViewDefinition, relations: &[(String, SchemaRef)]) -> Result<Relation> {
    view.check_shape()?;
    let planned = plan_schema(&view.sql, relations).map_err(|error| within(view, error))?;
    let columns = from_arrow_schema(&planned).map_err(|error| within(view, error))?;
    let entity = view.entity.iter().map(|name| entity_column(view, &columns, name)).collect::<Result<Vec<_>>>()?;
    for name in std::iter::once(view.event_time.as_str()).chain(view.known_time.as_deref()) {
        typed_column(view, &columns, name, DataType::Timestamp)?;
    }
    let feature = |(name, feature): (&String, &crate::FeatureDefinition)| {
        typed_column(view, &columns, name, feature.data_type)?;
        Ok(Field { name: name.clone(), data_type: feature.data_type, nullable: true })
    };
    let features = view.features.iter().map(feature).collect::<Result<_>>()?;
    let reads = table_names(&view.sql).map_err(|error| within(view, error))?;
    if let Some(leak) = look_ahead(&view.sql, relations, view.known_column()).map_err(|error| within(view, error))?.first() {
        let message = format!("feature view `{}` looks ahead: {leak}", view.feature_view);
        return Err(FEATURE_LOOKS_AHEAD.error(message).hint(leak.hint()));
    }
    Ok(Relation { entity, features, reads })
}

/// Checks all views of a project over its tables and returns what is wrong, view by view; nothing if all is well.
///
/// A view that reads a broken one is not reported for that alone.
pub fn check_views(views: &BTreeMap<Name, ViewDefinition>, tables: &BTreeMap<Name, SchemaRef>) -> Vec<(Name, Error)> {
    let all: Vec<ViewDefinition> = views.values().cloned().collect();
    let order = match dependency_order(&all) {
        Ok(order) => order,
        Err((name, error)) => return vec![(name, error)],
    };
    let mut relations: Vec<(String, SchemaRef)> =
        tables.iter().map(|(name, schema)| (name.to_string(), schema.clone())).collect();
    let mut broken: BTreeSet<String> = BTreeSet::new();
    let mut errors = Vec::new();
    for view in order {
        let name = &view.feature_view;
        if tables.contains_key(name) {
            errors.push((name.clone(), same_name(view)));
        }
        match check_view(view, &relations) {
            Ok(relation) => relations.push((name.to_string(), relation.schema(view))),
            Err(error) => {
                let reads_broken = table_names(&view.sql).is_ok_and(|reads| reads.iter().any(|read| broken.contains(read)));
                broken.insert(name.to_string());
                errors.extend((!reads_broken).then(|| (name.clone(), error)));
            }
        }
    }
    errors
}

fn same_name(view: &ViewDefinition) -> Error {
    BAD_FEATURE_VIEW
        .error(format!("feature view `{}` has the name of a table", view.feature_view))
        .hint("SQL could not tell them apart; rename the view")
}

/// The views in an order in which each comes after the views it reads; among equals, by name. A circle, or SQL that does not
/// parse, fails with the view it was found in.
pub fn dependency_order(views: &[ViewDefinition]) -> Result<Vec<&ViewDefinition>, (Name, Error)> {
    let by_name: BTreeMap<&str, &ViewDefinition> = views.iter().map(|view| (view.feature_view.as_str(), view)).collect();
    let mut search = Search { by_name: &by_name, path: Vec::new(), order: Vec::new() };
    for view in by_name.values() {
        search.visit(view).map_err(|(view, error)| (view.feature_view.clone(), error))?;
    }
    Ok(search.order)
}

/// A depth-first search that remembers the way it came, to name the circle when it meets itself.
struct Search<'a, 'b> {
    by_name: &'b BTreeMap<&'a str, &'a ViewDefinition>,
    path: Vec<&'a ViewDefinition>,
    order: Vec<&'a ViewDefinition>,
}

impl<'a> Search<'a, '_> {
    fn visit(&mut self, view: &'a ViewDefinition) -> Result<(), (&'a ViewDefinition, Error)> {
        if self.order.iter().any(|done| done.feature_view == view.feature_view) {
            return Ok(());
        }
        if let Some(start) = self.path.iter().position(|seen| seen.feature_view == view.feature_view) {
            return Err((view, circle(&self.path[start..])));
        }
        self.path.push(view);
        let reads = table_names(&view.sql).map_err(|error| (view, within(view, error)))?;
        for read in reads.iter().filter_map(|name| self.by_name.get(name.as_str()).copied()) {
            self.visit(read)?;
        }
        self.path.pop();
        self.order.push(view);
        Ok(())
    }
}

fn circle(path: &[&ViewDefinition]) -> Error {
    let names: Vec<&str> = path.iter().map(|view| view.feature_view.as_str()).collect();
    FEATURE_CYCLE
        .error(format!("feature views read each other in a circle: {} → {}", names.join(" → "), names[0]))
        .hint("let one of them read the tables instead")
}

pub(crate) fn within(view: &ViewDefinition, error: Error) -> Error {
    error.context(format_args!("feature view `{}`", view.feature_view))
}

fn column<'a>(view: &ViewDefinition, columns: &'a Schema, name: &str) -> Result<&'a Field> {
    columns.field(name).ok_or_else(|| {
        let hint = match columns.nearest(name) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => format!("its SQL yields {}", columns.names().collect::<Vec<_>>().join(", ")),
        };
        FEATURE_COLUMN_MISSING
            .error(format!("feature view `{}` declares `{name}`, which its SQL does not yield", view.feature_view))
            .hint(hint)
    })
}

fn typed_column(view: &ViewDefinition, columns: &Schema, name: &str, declared: DataType) -> Result<()> {
    let found = column(view, columns, name)?.data_type;
    if found == declared {
        return Ok(());
    }
    Err(FEATURE_TYPE_MISMATCH
        .error(format!("feature view `{}` has `{name}` as {declared}, but its SQL yields {found}", view.feature_view))
        .hint(format!("write `{name}: {{type: {found}}}`, or convert it in the SQL with CAST(… AS {})", sql_type(declared))))
}

fn entity_column(view: &ViewDefinition, columns: &Schema, name: &str) -> Result<Field> {
    let field = column(view, columns, name)?;
    if matches!(field.data_type, DataType::Float32 | DataType::Float64 | DataType::Date) {
        return Err(BAD_FEATURE_VIEW
            .error(format!("feature view `{}` has the entity column `{name}` of type {}", view.feature_view, field.data_type))
            .hint("an entity is identified by strings, integers, booleans or timestamps; convert the column with CAST"));
    }
    Ok(Field { nullable: true, ..field.clone() })
}

fn sql_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::String => "VARCHAR",
        DataType::Date => "DATE",
        DataType::Timestamp => "TIMESTAMP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::tests::carrier_delays;

    fn flights() -> Vec<(String, SchemaRef)> {
        let columns = [("carrier", DataType::String), ("landed_at", DataType::Timestamp), ("arr_delay", DataType::Float64)];
        let fields = columns.map(|(name, data_type)| ArrowField::new(name, to_arrow(data_type), true));
        vec![("flights".to_owned(), Arc::new(ArrowSchema::new(fields.to_vec())))]
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut ViewDefinition), want: &str) {
        let mut view = carrier_delays();
        change(&mut view);
        let error = check_view(&view, &flights()).unwrap_err();
        let found = format!("[{}] {} hint: {}", error.code(), error.message(), error.hint_text().unwrap_or_default());
        assert!(found.contains(want), "{found}");
    }

    #[test]
    fn declared_columns_must_be_there_with_their_types() {
        let relation = check_view(&carrier_delays(), &flights()).unwrap();
        assert_eq!(relation.reads, ["flights"]);
        assert_eq!(relation.entity[0].data_type, DataType::String);
        check(|view| view.sql = view.sql.replace("AS delay", "AS dellay"), "did you mean `dellay`?");
        check(|view| view.event_time = "landed".to_owned(), "[feature-column-missing]");
        check(
            |view| view.features.get_mut("delay").unwrap().data_type = DataType::Int32,
            "has `delay` as int32, but its SQL yields float64 hint: write `delay: {type: float64}`",
        );
        check(|view| view.entity = vec!["delay2".to_owned()], "declares `delay2`");
        check(|view| view.sql = "SELECT carrier, landed_at, arr_dellay AS delay FROM flights".to_owned(), "arr_delay");
        let float_entity = |view: &mut ViewDefinition| {
            view.sql = "SELECT arr_delay AS carrier, landed_at, arr_delay AS delay FROM flights".to_owned();
        };
        check(float_entity, "[bad-feature-view] feature view `carrier_delays` has the entity column `carrier` of type float64");
    }

    /// The view's SQL, and what is said of it; nothing if it does not provably look ahead.
    #[track_caller]
    fn check_time(sql: &str, want: Option<&str>) {
        let mut view = carrier_delays();
        view.sql = sql.to_owned();
        let found = check_view(&view, &flights());
        let message = found.as_ref().err().map(|error| error.message().trim_start_matches("feature view `carrier_delays` "));
        assert_eq!(message.map(|text| text.trim_start_matches("looks ahead: ")), want);
        assert!(found.is_ok() || found.unwrap_err().is(FEATURE_LOOKS_AHEAD));
    }

    #[test]
    fn windows_end_at_their_own_row() {
        let over = |window: &str| format!("SELECT carrier, landed_at, avg(arr_delay) OVER ({window}) AS delay FROM flights");
        check_time(&over("PARTITION BY carrier ORDER BY landed_at"), None);
        check_time(
            &over("PARTITION BY carrier ORDER BY landed_at RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW"),
            None,
        );
        check_time(&over("PARTITION BY carrier, landed_at"), None);
        let said = |window: &str, want: &str| {
            let found = check_view(&reading("carrier_delays", &over(window)), &flights()).unwrap_err();
            assert!(found.is(FEATURE_LOOKS_AHEAD) && found.message().contains(want), "{found}");
            assert!(found.hint_text().unwrap().contains("CURRENT ROW"));
        };
        said("PARTITION BY carrier", "sees all rows of its partition, also later ones");
        said("PARTITION BY carrier ORDER BY landed_at ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING", "rows that follow its own");
        said(
            "PARTITION BY carrier ORDER BY landed_at ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            "rows that follow its own",
        );
        said("PARTITION BY carrier ORDER BY landed_at DESC", "goes backwards in time");
        check_time(
            "SELECT carrier, landed_at, lead(arr_delay) OVER (PARTITION BY carrier ORDER BY landed_at) AS delay FROM flights",
            Some("`lead(flights.arr_delay)` takes a value of a later row"),
        );
    }

    #[test]
    fn aggregates_are_known_when_their_last_row_is() {
        let by = |time: &str, group: &str| {
            format!(
                "SELECT carrier, {time} AS landed_at, avg(arr_delay) AS delay FROM flights WHERE landed_at IS NOT NULL GROUP BY {group}"
            )
        };
        check_time(&by("date_trunc('hour', landed_at) + INTERVAL '1 hour'", "carrier, date_trunc('hour', landed_at)"), None);
        check_time(&by("date_bin(INTERVAL '15 minutes', landed_at) + INTERVAL '15 minutes'", "1, 2"), None);
        check_time(&by("max(landed_at)", "carrier"), None);
        check_time(&by("landed_at", "carrier, landed_at"), None);
        let begin = "the rows of a period are added up, and their time is its begin";
        for time in [
            "date_trunc('hour', landed_at)",
            "date_trunc('day', landed_at) + INTERVAL '1 hour'",
            "date_bin(INTERVAL '1 day', landed_at)",
        ] {
            let found = check_view(&reading("carrier_delays", &by(time, "carrier, 2")), &flights()).unwrap_err();
            assert!(found.is(FEATURE_LOOKS_AHEAD) && found.message().contains(begin), "{found}");
        }
        check_time(
            &by("min(landed_at)", "carrier"),
            Some("rows are added up, and their time is `min(flights.landed_at)`, when the others had not happened"),
        );
        check_time(
            &by("TIMESTAMP '2013-01-01T00:00:00Z'", "carrier"),
            Some("`avg(flights.arr_delay)` adds up rows of all times, also later ones"),
        );
    }

    #[test]
    fn a_mean_over_all_times_beside_a_row_is_found() {
        let sql = "SELECT f.carrier, f.landed_at, a.delay FROM flights f \
                   JOIN (SELECT carrier, avg(arr_delay) AS delay FROM flights GROUP BY carrier) a ON a.carrier = f.carrier";
        check_time(sql, Some("`avg(flights.arr_delay)` adds up rows of all times, also later ones"));
        let bounded = "SELECT f.carrier, f.landed_at, a.delay FROM flights f JOIN (SELECT carrier, avg(arr_delay) AS delay FROM flights \
                       WHERE landed_at < TIMESTAMP '2013-01-01T00:00:00Z' GROUP BY carrier) a ON a.carrier = f.carrier";
        check_time(bounded, None);
    }

    fn reading(name: &str, sql: &str) -> ViewDefinition {
        let mut view = carrier_delays();
        view.feature_view = Name::parse(name).unwrap();
        view.sql = sql.to_owned();
        view
    }

    #[track_caller]
    fn check_all(views: &[ViewDefinition], want: &[(&str, &str)]) {
        let views = views.iter().map(|view| (view.feature_view.clone(), view.clone())).collect();
        let tables = flights().into_iter().map(|(name, schema)| (Name::parse(&name).unwrap(), schema)).collect();
        let found = check_views(&views, &tables);
        let found: Vec<(&str, &str)> = found.iter().map(|(name, error)| (name.as_str(), error.message())).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn views_may_read_views() {
        let reader = reading("a_late_carriers", "SELECT carrier, landed_at, delay FROM carrier_delays");
        check_all(&[reader.clone(), carrier_delays()], &[]);
        let mut broken = carrier_delays();
        broken.event_time = "landed".to_owned();
        let message = "feature view `carrier_delays` declares `landed`, which its SQL does not yield";
        check_all(&[reader, broken], &[("carrier_delays", message)]);
        check_all(
            &[reading("flights", &carrier_delays().sql)],
            &[("flights", "feature views read each other in a circle: flights → flights")],
        );
    }

    #[test]
    fn a_circle_is_named() {
        let views = [reading("a", "SELECT * FROM b"), reading("b", "SELECT * FROM c"), reading("c", "SELECT * FROM b")];
        check_all(&views, &[("b", "feature views read each other in a circle: b → c → b")]);
    }
}
