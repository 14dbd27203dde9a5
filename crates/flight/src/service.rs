//! The calls of Flight, each of them answered or refused.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::{StreamExt, stream};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, Uri};
use lw_core::{Ctx, Error, Result, Timestamp};
use lw_engine::Query;
use lw_query::{Limits, Reader};
use prost::Message;

use crate::command::{Any, CancelQuery, Command, CreatePreparedStatement, Handle, PreparedStatement, not_offered};
use crate::failures::FLIGHT_BAD_CALL;
use crate::grpc::{self, Body, Call, Reply, refused};
use crate::handle::{Handles, TICKET_LIFE};
use crate::message::{
    Action, ActionResult, ActionType, BasicAuth, CancelFlightInfoRequest, CancelResult, FlightData, FlightDescriptor,
    FlightEndpoint, FlightInfo, Handshake, PutResult, SchemaResult, Ticket, Time,
};
use crate::parameter::read_row;
use crate::{metadata, sql_info, wire, xdbc};

const SERVICE: &str = "/arrow.flight.protocol.FlightService/";
/// How long a query may run: a header for clients that cannot send gRPC's own.
const TIMEOUT_MS: &str = "x-loopwright-timeout-ms";
const CANCELLED: i32 = 1;
const NOT_CANCELLABLE: i32 = 3;
/// What is not known before a query has run.
const UNKNOWN_COUNT: i64 = -1;

/// Who may come in: the rules of the HTTP surface, which this protocol shares.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// The surroundings of a caller who may read, or why there is none.
    async fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<Ctx>;
}

/// Flight SQL over a reader. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    reader: Reader,
    gate: Arc<dyn Gate>,
    handles: Handles,
}

/// A call that was let in.
struct Caller {
    ctx: Ctx,
    limits: Limits,
    headers: HeaderMap,
}

impl Service {
    pub fn new(reader: Reader, gate: Arc<dyn Gate>) -> Self {
        Self { reader, gate, handles: Handles::default() }
    }

    /// Answers one call. A refusal is an answer, too.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match self.accept(request).await {
            Ok(reply) => reply.into_response(),
            Err(error) => refused(&error),
        }
    }

    async fn accept(&self, request: Request<Incoming>) -> Result<Reply> {
        let (parts, body) = request.into_parts();
        let is_grpc = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if parts.method != Method::POST || !is_grpc {
            let error = FLIGHT_BAD_CALL.error("this port speaks Arrow Flight SQL, which is gRPC");
            return Err(error.hint("the HTTP API is on the other port; `loopwright status` names it"));
        }
        let mut headers = parts.headers;
        let name = parts.uri.path().strip_prefix(SERVICE).unwrap_or(parts.uri.path());
        if name == "Handshake" {
            // What shows who somebody is may stand in the first message.
            let call = Call::receive(body).await?;
            show_payload(&call, &mut headers)?;
            let caller = self.admitted(&parts.uri, headers).await?;
            return self.dispatch(name, &call, &caller).await;
        }
        // Nothing is read of a caller who is not let in.
        let caller = self.admitted(&parts.uri, headers).await?;
        let call = Call::receive(body).await?;
        self.dispatch(name, &call, &caller).await
    }

    async fn admitted(&self, uri: &Uri, headers: HeaderMap) -> Result<Caller> {
        let ctx = self.gate.admit(uri, &headers).await?;
        Ok(Caller { ctx, limits: limits(&headers)?, headers })
    }

    async fn dispatch(&self, name: &str, call: &Call, caller: &Caller) -> Result<Reply> {
        match name {
            "Handshake" => Ok(handshake(caller)),
            "GetFlightInfo" => Ok(Reply::one(&self.info(caller, call.message()?).await?)),
            "GetSchema" => Ok(Reply::one(&self.schema(caller, &call.message()?).await?)),
            "DoGet" => self.get(caller, &call.message()?).await,
            "DoPut" => self.put(caller, &call.messages()?).await,
            "DoAction" => self.act(caller, &call.message()?).await,
            "ListActions" => Ok(list_actions()),
            other => Err(not_offered(other)),
        }
    }

    /// What will come, and the ticket for it.
    async fn info(&self, caller: &Caller, descriptor: FlightDescriptor) -> Result<FlightInfo> {
        let command = Command::parse(&descriptor.cmd)?;
        let query = match &command {
            Command::Statement(statement) => self.reader.prepare(&caller.ctx, &statement.query).await?.plan(None).await?,
            Command::Prepared(Handle { handle }) => {
                let (statement, values) = self.handles.statement(&caller.ctx, handle)?;
                statement.plan(values).await?
            }
            listing => {
                let schema = listing_schema(listing)?;
                return Ok(flight_info(&schema, descriptor.clone(), descriptor.cmd, None));
            }
        };
        let schema = query.schema();
        let handle = self.handles.keep_query(&caller.ctx, query)?;
        let ticket = Any::pack("TicketStatementQuery", &Handle { handle });
        Ok(flight_info(&schema, descriptor, ticket, Some(caller.ctx.now() + TICKET_LIFE)))
    }

    async fn schema(&self, caller: &Caller, descriptor: &FlightDescriptor) -> Result<SchemaResult> {
        let schema = match Command::parse(&descriptor.cmd)? {
            Command::Statement(statement) => self.reader.prepare(&caller.ctx, &statement.query).await?.schema()?,
            Command::Prepared(Handle { handle }) => self.handles.statement(&caller.ctx, &handle)?.0.schema()?,
            listing => listing_schema(&listing)?,
        };
        Ok(SchemaResult { schema: wire::schema_message(&schema) })
    }

    async fn get(&self, caller: &Caller, ticket: &Ticket) -> Result<Reply> {
        match Command::parse(&ticket.ticket)? {
            Command::Ticket(Handle { handle }) => {
                let query = self.handles.take_query(&caller.ctx, &handle)?;
                self.run(caller, query, handle).await
            }
            listing => {
                let batch = self.listing(&listing).await?;
                Ok(Reply::stream(wire::messages(&batch.schema(), stream::iter([Ok(batch)]))?))
            }
        }
    }

    /// Runs a query. Its rows are made as the client takes them, and it stops when the client goes.
    async fn run(&self, caller: &Caller, query: Query, handle: Bytes) -> Result<Reply> {
        let schema = query.schema();
        let answer = self.reader.start(query, caller.limits).await?;
        let running = self.handles.running(&caller.ctx, handle, answer.canceller());
        let batches = answer.map(move |batch| {
            // The query counts as running for as long as its stream lives.
            let _ = &running;
            batch
        });
        Ok(Reply::stream(wire::messages(&schema, batches)?))
    }

    async fn listing(&self, command: &Command) -> Result<RecordBatch> {
        match command {
            Command::Catalogs => metadata::catalogs(),
            Command::Schemas(asked) => metadata::schemas(asked),
            Command::Tables(asked) => metadata::tables(&self.reader.tables().await?, asked),
            Command::TableTypes => metadata::table_types(),
            Command::SqlInfo(asked) => sql_info::answer(asked),
            Command::XdbcTypeInfo(asked) => xdbc::answer(asked),
            Command::PrimaryKeys => Ok(metadata::primary_keys()),
            Command::ForeignKeys => Ok(metadata::foreign_keys()),
            Command::Statement(_) | Command::Prepared(_) | Command::Ticket(_) => Err(no_ticket()),
        }
    }

    /// Takes the values of a prepared statement's parameters; everything else that puts would change something.
    async fn put(&self, caller: &Caller, messages: &[FlightData]) -> Result<Reply> {
        let descriptor = messages.first().and_then(|first| first.flight_descriptor.as_ref());
        let descriptor =
            descriptor.ok_or_else(|| FLIGHT_BAD_CALL.error("the first message does not say what the data are for"))?;
        let any = Any::unpack(&descriptor.cmd)?;
        if any.name() != "CommandPreparedStatementQuery" {
            return Err(not_offered(any.name()));
        }
        let bound: Handle = any.read()?;
        self.handles.bind(&caller.ctx, &bound.handle, read_row(messages)?)?;
        Ok(Reply::one(&PutResult { app_metadata: bound.encode_to_vec().into() }))
    }

    async fn act(&self, caller: &Caller, action: &Action) -> Result<Reply> {
        let ctx = &caller.ctx;
        match action.r#type.as_str() {
            "CreatePreparedStatement" => {
                let asked: CreatePreparedStatement = Any::unpack(&action.body)?.read()?;
                let statement = self.reader.prepare(ctx, &asked.query).await?;
                let dataset_schema = wire::schema_message(statement.schema()?.as_ref());
                let parameter_schema = wire::schema_message(statement.parameters()?.as_ref());
                let handle = self.handles.keep_statement(ctx, statement)?;
                let prepared = PreparedStatement { handle, dataset_schema, parameter_schema };
                Ok(result(Any::pack("ActionCreatePreparedStatementResult", &prepared)))
            }
            "ClosePreparedStatement" => {
                let Handle { handle } = Any::unpack(&action.body)?.read()?;
                self.handles.close(ctx, &handle);
                Ok(Reply::of(Vec::new()))
            }
            "CancelFlightInfo" => {
                let asked = CancelFlightInfoRequest::decode(action.body.clone()).map_err(|error| no_info().cause(error))?;
                let outcome = self.cancel(ctx, &asked.info.ok_or_else(no_info)?)?;
                Ok(result(outcome.encode_to_vec().into()))
            }
            "CancelQuery" => {
                let asked: CancelQuery = Any::unpack(&action.body)?.read()?;
                let info = FlightInfo::decode(asked.info).map_err(|error| no_info().cause(error))?;
                Ok(result(Any::pack("ActionCancelQueryResult", &self.cancel(ctx, &info)?)))
            }
            other => Err(not_offered(other)),
        }
    }

    fn cancel(&self, ctx: &Ctx, info: &FlightInfo) -> Result<CancelResult> {
        let mut status = NOT_CANCELLABLE;
        for ticket in info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref()) {
            if let Command::Ticket(Handle { handle }) = Command::parse(&ticket.ticket)?
                && self.handles.cancel(ctx, &handle)
            {
                status = CANCELLED;
            }
        }
        Ok(CancelResult { status })
    }
}

fn result(body: Bytes) -> Reply {
    Reply::one(&ActionResult { body })
}

fn list_actions() -> Reply {
    let actions = [
        ("CreatePreparedStatement", "Understands a query; its parameters are `?` or $1, $2, …"),
        ("ClosePreparedStatement", "Gives up a prepared statement"),
        ("CancelFlightInfo", "Stops a query"),
        ("CancelQuery", "Stops a query, as older clients ask for it"),
    ];
    let action = |(name, description): (&str, &str)| ActionType { r#type: name.to_owned(), description: description.to_owned() };
    Reply::of(actions.into_iter().map(|known| action(known).encode_to_vec().into()).collect())
}

fn flight_info(schema: &SchemaRef, descriptor: FlightDescriptor, ticket: Bytes, ends_at: Option<Timestamp>) -> FlightInfo {
    let time = |at: Timestamp| Time {
        seconds: at.micros().div_euclid(1_000_000),
        nanos: i32::try_from(at.micros().rem_euclid(1_000_000) * 1000).unwrap_or_default(),
    };
    FlightInfo {
        schema: wire::schema_message(schema),
        flight_descriptor: Some(descriptor),
        endpoint: vec![FlightEndpoint { ticket: Some(Ticket { ticket }), expiration_time: ends_at.map(time) }],
        total_records: UNKNOWN_COUNT,
        total_bytes: UNKNOWN_COUNT,
        ordered: true,
    }
}

/// The columns of an answer about what there is.
fn listing_schema(command: &Command) -> Result<SchemaRef> {
    Ok(match command {
        Command::Catalogs => metadata::catalogs()?.schema(),
        Command::Schemas(asked) => metadata::schemas(asked)?.schema(),
        Command::Tables(asked) => metadata::tables_schema(asked.include_schema),
        Command::TableTypes => metadata::table_types()?.schema(),
        Command::SqlInfo(_) => sql_info::schema(),
        Command::XdbcTypeInfo(_) => xdbc::schema(),
        Command::PrimaryKeys => metadata::primary_keys().schema(),
        Command::ForeignKeys => metadata::foreign_keys().schema(),
        Command::Statement(_) | Command::Prepared(_) | Command::Ticket(_) => return Err(no_ticket()),
    })
}

/// How long the caller's query may run: what is shorter of what it says and what its client waits.
fn limits(headers: &HeaderMap) -> Result<Limits> {
    let odd = || FLIGHT_BAD_CALL.error(format!("`{TIMEOUT_MS}` is no number of milliseconds")).hint("write digits, like 60000");
    let asked = match headers.get(TIMEOUT_MS) {
        None => Limits::STANDARD.timeout,
        Some(text) => {
            let number = text.to_str().ok().and_then(|text| text.parse().ok());
            Duration::from_millis(number.ok_or_else(odd)?).min(Limits::LONGEST)
        }
    };
    let timeout = grpc::timeout(headers).map_or(asked, |waits| waits.min(asked));
    Ok(Limits { timeout, ..Limits::STANDARD })
}

/// Puts name and password of a handshake's first message where every other call has them.
fn show_payload(call: &Call, headers: &mut HeaderMap) -> Result<()> {
    if headers.contains_key(AUTHORIZATION) {
        return Ok(());
    }
    let Some(first) = call.messages::<Handshake>()?.into_iter().next().filter(|first| !first.payload.is_empty()) else {
        return Ok(());
    };
    let unreadable = || FLIGHT_BAD_CALL.error("the handshake carries no name and password");
    let shown = BasicAuth::decode(first.payload).map_err(|error| unreadable().cause(error))?;
    let basic = format!("Basic {}", BASE64.encode(format!("{}:{}", shown.username, shown.password)));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&basic).map_err(|error| unreadable().cause(error))?);
    Ok(())
}

/// Hands back the token that was shown as a password, to be sent with every further call.
fn handshake(caller: &Caller) -> Reply {
    let shown = caller.headers.get(AUTHORIZATION).and_then(|shown| shown.to_str().ok()).unwrap_or_default();
    let token = match shown.split_once(' ') {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => {
            let decoded = BASE64.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            decoded.and_then(|text| text.split_once(':').map(|(_, password)| password.to_owned())).unwrap_or_default()
        }
        Some((_, token)) => token.to_owned(),
        None => String::new(),
    };
    let reply = Reply::one(&Handshake { protocol_version: 0, payload: token.clone().into() });
    match HeaderValue::from_str(&format!("Bearer {token}")) {
        Ok(value) => reply.header("authorization", value),
        Err(_) => reply,
    }
}

fn no_ticket() -> Error {
    FLIGHT_BAD_CALL.error("the ticket is none of this server's").hint("use the ticket that GetFlightInfo gave")
}

fn no_info() -> Error {
    FLIGHT_BAD_CALL.error("there is no FlightInfo of a query to cancel").hint("send the one that GetFlightInfo gave")
}
