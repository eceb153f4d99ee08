// Asks DuckDB the queries of standard input, a JSON array, in the folder of the first argument, and
// writes their rows as a JSON array of arrays of objects.
import { readFileSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'

process.chdir(process.argv[2])
const db = await (await DuckDBInstance.create(':memory:')).connect()
const all = []
for (const query of JSON.parse(readFileSync(0))) all.push((await db.runAndReadAll(query)).getRowObjectsJson())
console.log(JSON.stringify(all))
