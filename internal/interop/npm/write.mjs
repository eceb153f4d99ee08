// Writes the same rows with every writer that npm has, over codecs, page versions
// and encodings, into the folder of the first argument, and a line for each file to
// standard output: {writer, file, codec, pages, encoding, columns}. The formulas of
// the values are those of rows_test.go.
import { readFileSync, writeFileSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'
import * as arrow from 'apache-arrow'
import { initSync, Table, WriterPropertiesBuilder, Compression, Encoding, WriterVersion, writeParquet } from 'parquet-wasm/esm'
import { createRequire } from 'node:module'
import { parquetWriteBuffer } from 'hyparquet-writer'

const dir = process.argv[2]
const rows = Number(process.argv[3])
const require = createRequire(import.meta.url)
const n = [...Array(rows).keys()]
const some = f => n.map(i => (i % 7 === 3 ? null : f(i)))
const day = 86400000
const values = {
  email: n.map(i => `user${i}@example.com`),
  s: some(i => `Café ${i % 11} ${'x'.repeat(i % 40)}`),
  i32: some(i => i - 100),
  i64: some(i => BigInt(i) * 10000000007n - 5n),
  f32: some(i => i * 1.5),
  f64: some(i => i / 3),
  b: some(i => i % 2 === 0),
  d: some(i => new Date(Date.UTC(2020, 0, 1) + i * day)),
  ts: some(i => new Date(Date.UTC(2024, 0, 1) + i * 3601000)),
}
const told = (writer, file, codec, pages, encoding, columns) =>
  console.log(JSON.stringify({ writer, file, codec, pages, encoding, columns }))
let count = 0
const next = ending => `${String(count++).padStart(3, '0')}.${ending}`

async function duckdb() {
  const db = await (await DuckDBInstance.create(':memory:')).connect()
  const opt = v => `CASE WHEN i % 7 = 3 THEN NULL ELSE ${v} END`
  await db.run(`CREATE TABLE t AS SELECT
    'user' || i || '@example.com' AS email, ${opt(`'Café ' || (i % 11) || ' ' || repeat('x', (i % 40)::INT)`)} AS s,
    ${opt('(i - 100)::INTEGER')} AS i32, ${opt('i * 10000000007 - 5')} AS i64, ${opt('(i * 1.5)::FLOAT')} AS f32, ${opt('i::DOUBLE / 3')} AS f64,
    ${opt('i % 2 = 0')} AS b, ${opt(`DATE '2020-01-01' + i::INT`)} AS d, ${opt(`TIMESTAMP '2024-01-01' + to_seconds(i * 3601)`)} AS ts,
    ${opt('(i * 1.25)::DECIMAL(10,2)')} AS dec, ${opt('(i * 1.25)::DECIMAL(38,2)')} AS wide, ${opt('[i, i + 1]')} AS lst, ${opt(`{'city': 'C' || (i % 5), 'zip': i}`)} AS st,
    ${opt(`('00000000-0000-0000-0000-' || lpad(i::VARCHAR, 12, '0'))::UUID`)} AS id, ${opt(`to_days(i::INT)`)} AS iv, ${opt(`('S' || i)::BLOB`)} AS bytes,
    ${opt(`MAP {'k': i}`)} AS m, ${opt(`TIME '00:00:00' + to_seconds(i)`)} AS t, ${opt(`(i % 200)::UTINYINT`)} AS u8
    FROM range(${rows}) r(i)`)
  const columns = 'email s i32 i64 f32 f64 b d ts dec wide lst st id iv bytes m t u8'.split(' ')
  for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4', 'lz4_raw']) {
    for (const pages of ['V1', 'V2']) {
      for (const [encoding, limit] of [['dictionary', 100000], ['no dictionary', 1]]) {
        const file = next('parquet')
        await db.run(`COPY t TO '${dir}/${file}' (FORMAT parquet, COMPRESSION ${codec}, PARQUET_VERSION ${pages}, DICTIONARY_SIZE_LIMIT ${limit})`)
        told('DuckDB', file, codec, pages, encoding, columns)
      }
    }
  }
}

async function polars() {
  const pl = await import('nodejs-polars').then(m => m.default, () => null)
  if (pl === null) return console.error('Polars has no program for this system')
  const columns = 'email s i32 i64 f32 f64 b d ts'.split(' ')
  const types = { i32: pl.Int32, i64: pl.Int64, f32: pl.Float32, f64: pl.Float64, b: pl.Bool, d: pl.Date, ts: pl.Datetime('us') }
  const data = columns.map(c => {
    if (c === 'd' || c === 'ts') {
      const unit = c === 'd' ? v => Math.round(v / day) : v => v * 1000
      const numbers = values[c].map(v => (v === null ? null : unit(v.getTime())))
      return pl.Series(c, numbers, c === 'd' ? pl.Int32 : pl.Int64).cast(types[c])
    }
    if (c === 'i64') return pl.Series(c, values[c].map(v => (v === null ? null : Number(v))), pl.Float64).cast(pl.Int64)
    return pl.Series(c, values[c], types[c] ?? pl.Utf8)
  })
  const df = pl.DataFrame(Object.fromEntries(columns.map((c, i) => [c, data[i]])))
  for (const codec of ['uncompressed', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4']) {
    const file = next('parquet')
    df.writeParquet(`${dir}/${file}`, { compression: codec })
    told('Polars', file, codec, 'as it comes', 'as it comes', columns)
  }
  for (const codec of ['uncompressed', 'lz4', 'zstd']) {
    const file = next('arrow')
    df.writeIPC(`${dir}/${file}`, { compression: codec })
    told('Polars', file, codec, 'Arrow file', 'views', columns)
  }
}

function table() {
  const make = (type, name) => arrow.vectorFromArray(values[name], type)
  return new arrow.Table({
    email: arrow.vectorFromArray(values.email, new arrow.Utf8()), s: make(new arrow.Utf8(), 's'), i32: make(new arrow.Int32(), 'i32'),
    i64: make(new arrow.Int64(), 'i64'), f32: make(new arrow.Float32(), 'f32'), f64: make(new arrow.Float64(), 'f64'), b: make(new arrow.Bool(), 'b'),
    d: make(new arrow.DateDay(), 'd'), ts: make(new arrow.TimestampMillisecond('UTC'), 'ts'),
  })
}

function arrowJS() {
  const columns = 'email s i32 i64 f32 f64 b d ts'.split(' ')
  for (const kind of ['file', 'stream']) {
    const file = next('arrow')
    writeFileSync(`${dir}/${file}`, arrow.tableToIPC(table(), kind))
    told('apache-arrow', file, 'uncompressed', 'Arrow ' + kind, 'plain', columns)
    const named = next('arrow')
    const dictionary = new arrow.Table({ email: arrow.vectorFromArray(values.email), s: arrow.vectorFromArray(values.s) })
    writeFileSync(`${dir}/${named}`, arrow.tableToIPC(dictionary, kind))
    told('apache-arrow', named, 'uncompressed', 'Arrow ' + kind, 'dictionary', ['email', 's'])
  }
}

function parquetWasm() {
  initSync({ module: readFileSync(require.resolve('parquet-wasm/esm/parquet_wasm_bg.wasm')) })
  const columns = 'email s i32 i64 f32 f64 b d ts'.split(' ')
  const ipc = arrow.tableToIPC(table(), 'stream')
  const write = (codec, pages, encoding, build) => {
    const file = next('parquet')
    const properties = build(new WriterPropertiesBuilder().setCompression(Compression[codec]).setWriterVersion(WriterVersion[pages])).build()
    writeFileSync(`${dir}/${file}`, writeParquet(Table.fromIPCStream(ipc), properties))
    told('parquet-wasm (arrow-rs)', file, codec.toLowerCase(), pages, encoding, columns)
  }
  // Parquet has no types for these; they are numbers, and the Arrow schema in the footer says what they are.
  const seconds = new arrow.Table({
    email: arrow.vectorFromArray(values.email, new arrow.Utf8()), ts: arrow.vectorFromArray(values.ts, new arrow.TimestampSecond('UTC')),
    d: arrow.vectorFromArray(values.d, new arrow.DateMillisecond()), t: arrow.vectorFromArray(some(i => i % 86400), new arrow.TimeSecond()),
  })
  const bare = next('parquet')
  writeFileSync(`${dir}/${bare}`, writeParquet(Table.fromIPCStream(arrow.tableToIPC(seconds, 'stream'))))
  told('parquet-wasm (arrow-rs)', bare, 'uncompressed', 'V1', 'types that Parquet lacks', 'email ts d t'.split(' '))
  const plain = b => b.setDictionaryEnabled(false)
  const each = (b, encodings) => Object.entries(encodings).reduce((b, [c, e]) => b.setColumnEncoding(c, Encoding[e]), plain(b))
  for (const codec of ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'BROTLI', 'LZ4_RAW', 'ZSTD']) {
    for (const pages of ['V1', 'V2']) {
      write(codec, pages, 'dictionary', b => b)
      write(codec, pages, 'plain', plain)
      write(codec, pages, 'delta', b => each(b, { i32: 'DELTA_BINARY_PACKED', i64: 'DELTA_BINARY_PACKED', d: 'DELTA_BINARY_PACKED', ts: 'DELTA_BINARY_PACKED', email: 'DELTA_BYTE_ARRAY', s: 'DELTA_LENGTH_BYTE_ARRAY', b: 'RLE' }))
      write(codec, pages, 'byte stream split', b => each(b, { f32: 'BYTE_STREAM_SPLIT', f64: 'BYTE_STREAM_SPLIT', i32: 'BYTE_STREAM_SPLIT', i64: 'BYTE_STREAM_SPLIT' }))
    }
  }
}

function hyparquet() {
  const columns = 'email s i32 i64 f32 f64 b ts'.split(' ')
  const types = { email: 'STRING', s: 'STRING', i32: 'INT32', i64: 'INT64', f32: 'FLOAT', f64: 'DOUBLE', b: 'BOOLEAN', ts: 'TIMESTAMP' }
  const columnData = columns.map(c => ({ name: c, data: values[c], type: types[c], nullable: true }))
  for (const codec of ['UNCOMPRESSED', 'SNAPPY']) {
    const file = next('parquet')
    writeFileSync(`${dir}/${file}`, Buffer.from(parquetWriteBuffer({ columnData, codec })))
    told('hyparquet-writer', file, codec.toLowerCase(), 'V1', 'as it comes', columns)
  }
}

for (const write of [duckdb, polars, arrowJS, parquetWasm, hyparquet]) await write()
