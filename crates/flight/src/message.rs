//! The messages of Arrow Flight (Flight.proto), as far as Flight SQL uses them.

/// The first message that a client shows who it is with, in the older of two ways.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Handshake {
    #[prost(uint64, tag = "1")]
    pub protocol_version: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub payload: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct BasicAuth {
    #[prost(string, tag = "2")]
    pub username: String,
    #[prost(string, tag = "3")]
    pub password: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ActionType {
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(string, tag = "2")]
    pub description: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Action {
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub body: bytes::Bytes,
}

/// What an action answers.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ActionResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub body: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct SchemaResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub schema: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FlightDescriptor {
    /// 2 for a command, the only kind that Flight SQL has.
    #[prost(int32, tag = "1")]
    pub r#type: i32,
    #[prost(bytes = "bytes", tag = "2")]
    pub cmd: bytes::Bytes,
    #[prost(string, repeated, tag = "3")]
    pub path: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FlightInfo {
    #[prost(bytes = "bytes", tag = "1")]
    pub schema: bytes::Bytes,
    #[prost(message, optional, tag = "2")]
    pub flight_descriptor: Option<FlightDescriptor>,
    #[prost(message, repeated, tag = "3")]
    pub endpoint: Vec<FlightEndpoint>,
    /// -1: not known.
    #[prost(int64, tag = "4")]
    pub total_records: i64,
    #[prost(int64, tag = "5")]
    pub total_bytes: i64,
    #[prost(bool, tag = "6")]
    pub ordered: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FlightEndpoint {
    #[prost(message, optional, tag = "1")]
    pub ticket: Option<Ticket>,
    #[prost(message, optional, tag = "3")]
    pub expiration_time: Option<Time>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Time {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Ticket {
    #[prost(bytes = "bytes", tag = "1")]
    pub ticket: bytes::Bytes,
}

/// A piece of a stream of record batches. What goes out is written by `wire`, without a copy of the body.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FlightData {
    #[prost(message, optional, tag = "1")]
    pub flight_descriptor: Option<FlightDescriptor>,
    #[prost(bytes = "bytes", tag = "2")]
    pub data_header: bytes::Bytes,
    #[prost(bytes = "bytes", tag = "1000")]
    pub data_body: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct PutResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub app_metadata: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CancelFlightInfoRequest {
    #[prost(message, optional, tag = "1")]
    pub info: Option<FlightInfo>,
}

/// What became of a wish to cancel, in Flight and in Flight SQL alike.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CancelResult {
    /// 1: cancelled; 3: not cancellable.
    #[prost(int32, tag = "1")]
    pub status: i32,
}
