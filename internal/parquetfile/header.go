package parquetfile

// pageHeader is what matters of parquet.thrift's PageHeader.
type pageHeader struct {
	kind                     int32
	uncompressed, compressed int32
	crc                      int32
	hasCRC                   bool
	values                   int32
	encoding                 int32
	defEncoding, repEncoding int32 // of a page of version 1
	nulls, rows              int32 // of one of version 2, as the others below
	defLevels, repLevels     int32
	compressedV2             int8
}

// parsePageHeader reads a header from the start of data and returns its length.
func parsePageHeader(data []byte) (h pageHeader, length int, err error) {
	c := newCompact(data)
	h.compressedV2 = 1
	c.fields(func(id int16) bool {
		switch id {
		case 1:
			return number(c, &h.kind)
		case 2:
			return number(c, &h.uncompressed)
		case 3:
			return number(c, &h.compressed)
		case 4:
			h.hasCRC = true
			return number(c, &h.crc)
		case 5, 7:
			c.fields(func(id int16) bool {
				switch id {
				case 1:
					return number(c, &h.values)
				case 2:
					return number(c, &h.encoding)
				case 3:
					return number(c, &h.defEncoding)
				case 4:
					return number(c, &h.repEncoding)
				}
				return false
			})
			return true
		case 8:
			c.fields(h.version2(c))
			return true
		}
		return false
	})
	return h, len(data) - c.buf.Len(), c.err
}

func (h *pageHeader) version2(c *compact) func(id int16) bool {
	return func(id int16) bool {
		switch id {
		case 1:
			return number(c, &h.values)
		case 2:
			return number(c, &h.nulls)
		case 3:
			return number(c, &h.rows)
		case 4:
			return number(c, &h.encoding)
		case 5:
			return number(c, &h.defLevels)
		case 6:
			return number(c, &h.repLevels)
		case 7:
			return number(c, &h.compressedV2)
		}
		return false
	}
}

func (h *pageHeader) isData() bool { return h.kind == pageData || h.kind == pageDataV2 }
