package ipc

// The tags of V8's format that a child's channel can bring, by V8's value-serializer.
const (
	headerTag    = 0xFF
	firstVersion = 13 // which we write
	lastVersion  = 15

	tagPadding      = 0
	tagUndefined    = '_'
	tagNull         = '0'
	tagTrue         = 'T'
	tagFalse        = 'F'
	tagHole         = '-'
	tagInt32        = 'I'
	tagUint32       = 'U'
	tagDouble       = 'N'
	tagBigInt       = 'Z'
	tagLatin1       = '"'
	tagUTF16        = 'c'
	tagUTF8         = 'S'
	tagObject       = 'o'
	tagObjectEnd    = '{'
	tagDense        = 'A'
	tagDenseEnd     = '$'
	tagSparse       = 'a'
	tagSparseEnd    = '@'
	tagReference    = '^'
	tagHost         = '\\'
	tagDate         = 'D'
	tagTrueObject   = 'y'
	tagFalseObject  = 'x'
	tagNumberObject = 'n'
	tagStringObject = 's'
	tagBigIntObject = 'z'
	tagRegExp       = 'R'
	tagMap          = ';'
	tagMapEnd       = ':'
	tagSet          = '\''
	tagSetEnd       = ','
	tagArrayBuffer  = 'B'
	tagError        = 'r'
)

// The parts of an error, each a varint.
const (
	errorMessage = 'm'
	errorCause   = 'c'
	errorStack   = 's'
	errorEnd     = '.'
)

// The kinds of a host object: Node writes views of binary data as such, and native objects as
// plain ones.
const (
	hostView   = 0
	hostPlain  = 1
	viewBuffer = 10
)

const (
	maxDepth    = 1000    // of values in values
	maxElements = 1 << 20 // of one frame: properties, items and single values
)
