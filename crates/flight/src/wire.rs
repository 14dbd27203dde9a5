//! Schemas and record batches as Flight puts them on the wire.

use std::collections::VecDeque;

use arrow::array::{Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, StreamEncoder};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use lw_core::{Error, Result};
use lw_query::shared_bytes;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::grpc::Pieces;

/// A message's body is at most this large, unless a single row is larger: clients take 4 MiB if they are told nothing else.
const MAX_BODY_BYTES: usize = 3 << 20;
/// Before the flatbuffer of an encapsulated message stand a mark and its length.
const PREFIX_BYTES: usize = 8;
const CONTINUATION: [u8; 4] = [0xff; 4];
/// `FlightData.data_header` and `FlightData.data_body`.
const HEADER_FIELD: u32 = 2;
const BODY_FIELD: u32 = 1000;

/// A schema as an encapsulated message, the form that it has within other messages.
pub fn schema_message(schema: &Schema) -> Bytes {
    let header = schema_header(schema);
    let padding = header.len().next_multiple_of(PREFIX_BYTES) - header.len();
    let mut message = BytesMut::with_capacity(PREFIX_BYTES + header.len() + padding);
    message.put_slice(&CONTINUATION);
    message.put_i32_le(i32::try_from(header.len() + padding).unwrap_or(i32::MAX));
    message.put_slice(&header);
    message.put_bytes(0, padding);
    message.freeze()
}

fn schema_header(schema: &Schema) -> Vec<u8> {
    let generator = IpcDataGenerator {};
    let mut dictionaries = DictionaryTracker::new(false);
    generator.schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &IpcWriteOptions::default()).ipc_message
}

/// The messages of an answer: its schema, then its batches, none larger than a client takes.
pub fn messages(
    schema: &SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> Result<impl Stream<Item = Result<Pieces>> + Send + 'static> {
    let mut encoder = Encoder::new(schema)?;
    let first = flight_data(schema_header(schema).into(), Vec::new());
    let rest = batches.flat_map(move |batch| {
        let encoded = batch.and_then(|batch| encoder.encode(&batch));
        stream::iter(match encoded {
            Ok(messages) => messages.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    });
    Ok(stream::once(async { Ok(first) }).chain(rest))
}

struct Encoder(StreamEncoder);

impl Encoder {
    fn new(schema: &SchemaRef) -> Result<Self> {
        let mut encoder = StreamEncoder::try_new(schema).map_err(unwritable)?;
        // The schema, which the encoder puts before its first batch, travels in a message of its own.
        encoder.encode(&RecordBatch::new_empty(schema.clone())).map_err(unwritable)?;
        Ok(Self(encoder))
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<Pieces>> {
        let mut messages = Vec::new();
        let mut waiting = vec![batch.clone()];
        while let Some(batch) = waiting.pop() {
            if batch.num_rows() > 1 && size_bytes(&batch) > MAX_BODY_BYTES {
                let half = batch.num_rows() / 2;
                waiting.push(batch.slice(half, batch.num_rows() - half));
                waiting.push(batch.slice(0, half));
                continue;
            }
            let buffers = self.0.encode(&batch).map_err(unwritable)?;
            let (header, body) = parted(buffers)?;
            messages.push(flight_data(header, body));
        }
        Ok(messages)
    }
}

/// What a batch's own rows take.
fn size_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}

/// An encapsulated message, which lies in several buffers, as its flatbuffer and its body.
fn parted(buffers: Vec<Buffer>) -> Result<(Bytes, Vec<Bytes>)> {
    let mut pieces: VecDeque<Bytes> = buffers.into_iter().map(shared_bytes).collect();
    let prefix = taken(&mut pieces, PREFIX_BYTES);
    let length = prefix.get(CONTINUATION.len()..).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    let length = length.filter(|_| prefix.starts_with(&CONTINUATION)).ok_or_else(|| Error::bug("a batch was encoded oddly"))?;
    let header = taken(&mut pieces, usize::try_from(length).unwrap_or(usize::MAX));
    Ok((header, pieces.into()))
}

/// Takes so many bytes from the front.
fn taken(pieces: &mut VecDeque<Bytes>, n_bytes: usize) -> Bytes {
    let mut taken = BytesMut::with_capacity(n_bytes.min(64 << 10));
    while taken.len() < n_bytes
        && let Some(mut piece) = pieces.pop_front()
    {
        let part = piece.split_to(piece.len().min(n_bytes - taken.len()));
        taken.extend_from_slice(&part);
        if !piece.is_empty() {
            pieces.push_front(piece);
        }
    }
    taken.freeze()
}

/// A `FlightData` message whose body stays in its pieces.
fn flight_data(header: Bytes, body: Vec<Bytes>) -> Pieces {
    let n_bytes: usize = body.iter().map(Bytes::len).sum();
    let mut front = BytesMut::with_capacity(header.len() + 32);
    encode_key(HEADER_FIELD, WireType::LengthDelimited, &mut front);
    encode_varint(header.len() as u64, &mut front);
    front.extend_from_slice(&header);
    if n_bytes > 0 {
        encode_key(BODY_FIELD, WireType::LengthDelimited, &mut front);
        encode_varint(n_bytes as u64, &mut front);
    }
    std::iter::once(front.freeze()).chain(body).collect()
}

fn unwritable(error: ArrowError) -> Error {
    Error::bug("a record batch cannot be written").cause(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use futures::TryStreamExt;
    use prost::Message;

    use super::*;
    use crate::message::FlightData;
    use crate::parameter::read_batches;

    /// What a client makes of the messages.
    async fn received(schema: &SchemaRef, batches: Vec<RecordBatch>) -> (Vec<usize>, Vec<RecordBatch>) {
        let messages = messages(schema, stream::iter(batches.into_iter().map(Ok))).unwrap();
        let messages: Vec<Vec<u8>> = messages.map_ok(|pieces| pieces.concat()).try_collect().await.unwrap();
        let sizes = messages.iter().map(Vec::len).collect();
        let data: Vec<FlightData> = messages.iter().map(|message| FlightData::decode(message.as_slice()).unwrap()).collect();
        (sizes, read_batches(&data).unwrap())
    }

    fn batch(n_rows: usize, width: usize) -> RecordBatch {
        let numbers = Int64Array::from_iter((0..n_rows).map(|row| (row % 3 > 0).then_some(row as i64)));
        let texts = StringArray::from_iter_values((0..n_rows).map(|row| row.to_string() + &".".repeat(width)));
        let columns = [("n", Arc::new(numbers) as _, true), ("t", Arc::new(texts) as _, false)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[tokio::test]
    async fn batches_arrive_as_they_were() {
        let batches = vec![batch(1000, 5).slice(7, 100), batch(0, 1), batch(3, 9)];
        let (_, found) = received(&batches[0].schema(), batches.clone()).await;
        assert_eq!(found, batches);
    }

    #[tokio::test]
    async fn large_batches_are_split_and_large_rows_are_not() {
        let large = batch(100_000, 200);
        let (sizes, found) = received(&large.schema(), vec![large.clone()]).await;
        assert!(sizes.len() > 5 && sizes.iter().all(|size| *size < 4 << 20), "{sizes:?}");
        assert_eq!(arrow::compute::concat_batches(&large.schema(), &found).unwrap(), large);
        let rows = batch(2, 5 << 20);
        let (sizes, found) = received(&rows.schema(), vec![rows.clone()]).await;
        assert_eq!((sizes.len(), found.len()), (3, 2), "the schema, and each row for itself");
    }
}
