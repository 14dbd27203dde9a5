//! The messages of Flight SQL (FlightSql.proto): what a client asks for, packed into `google.protobuf.Any`.

use bytes::Bytes;
use lw_core::Result;
use prost::Message;

use crate::failures::{FLIGHT_BAD_CALL, FLIGHT_NOT_OFFERED};

const PREFIX: &str = "type.googleapis.com/arrow.flight.protocol.sql.";

/// `google.protobuf.Any`: a message and the name of its type.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

impl Any {
    pub fn pack(name: &str, message: &impl Message) -> Bytes {
        let any = Self { type_url: format!("{PREFIX}{name}"), value: message.encode_to_vec().into() };
        any.encode_to_vec().into()
    }

    pub fn unpack(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes).map_err(|error| {
            FLIGHT_BAD_CALL
                .error("the call carries no Flight SQL command")
                .hint("this server speaks Flight SQL; use a driver for it, such as ADBC's")
                .cause(error)
        })
    }

    /// The name of the message, without the package.
    pub fn name(&self) -> &str {
        self.type_url.strip_prefix(PREFIX).unwrap_or(&self.type_url)
    }

    pub fn read<M: Message + Default>(&self) -> Result<M> {
        M::decode(self.value.clone())
            .map_err(|error| FLIGHT_BAD_CALL.error(format!("`{}` cannot be read", self.name())).cause(error))
    }
}

/// What a client asks to read.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Statement(StatementQuery),
    Prepared(Handle),
    Ticket(Handle),
    Catalogs,
    Schemas(GetDbSchemas),
    Tables(GetTables),
    TableTypes,
    SqlInfo(GetSqlInfo),
    XdbcTypeInfo(GetXdbcTypeInfo),
    PrimaryKeys,
    ForeignKeys,
}

impl Command {
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let any = Any::unpack(bytes)?;
        Ok(match any.name() {
            "CommandStatementQuery" => Self::Statement(any.read()?),
            "CommandPreparedStatementQuery" => Self::Prepared(any.read()?),
            "TicketStatementQuery" => Self::Ticket(any.read()?),
            "CommandGetCatalogs" => Self::Catalogs,
            "CommandGetDbSchemas" => Self::Schemas(any.read()?),
            "CommandGetTables" => Self::Tables(any.read()?),
            "CommandGetTableTypes" => Self::TableTypes,
            "CommandGetSqlInfo" => Self::SqlInfo(any.read()?),
            "CommandGetXdbcTypeInfo" => Self::XdbcTypeInfo(any.read()?),
            "CommandGetPrimaryKeys" => Self::PrimaryKeys,
            "CommandGetExportedKeys" | "CommandGetImportedKeys" | "CommandGetCrossReference" => Self::ForeignKeys,
            other => return Err(not_offered(other)),
        })
    }
}

pub fn not_offered(what: &str) -> lw_core::Error {
    let shown: String = what.chars().take(80).collect();
    FLIGHT_NOT_OFFERED
        .error(format!("this server does not offer `{shown}`"))
        .hint("tables are read here, and written by sources, pipelines and models; there are no transactions")
}

#[derive(Clone, PartialEq, Message)]
pub struct StatementQuery {
    #[prost(string, tag = "1")]
    pub query: String,
}

/// A prepared statement or a ticket, by the name that this server gave it.
#[derive(Clone, PartialEq, Message)]
pub struct Handle {
    #[prost(bytes = "bytes", tag = "1")]
    pub handle: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetDbSchemas {
    #[prost(string, optional, tag = "1")]
    pub catalog: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub schema_pattern: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetTables {
    #[prost(string, optional, tag = "1")]
    pub catalog: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub schema_pattern: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub table_pattern: Option<String>,
    #[prost(string, repeated, tag = "4")]
    pub table_types: Vec<String>,
    #[prost(bool, tag = "5")]
    pub include_schema: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetSqlInfo {
    #[prost(uint32, repeated, tag = "1")]
    pub info: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetXdbcTypeInfo {
    #[prost(int32, optional, tag = "1")]
    pub data_type: Option<i32>,
}

/// The action `CreatePreparedStatement`.
#[derive(Clone, PartialEq, Message)]
pub struct CreatePreparedStatement {
    #[prost(string, tag = "1")]
    pub query: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct PreparedStatement {
    #[prost(bytes = "bytes", tag = "1")]
    pub handle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub dataset_schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub parameter_schema: Bytes,
}

/// The action `CancelQuery`: the serialized `FlightInfo` of the query.
#[derive(Clone, PartialEq, Message)]
pub struct CancelQuery {
    #[prost(bytes = "bytes", tag = "1")]
    pub info: Bytes,
}
