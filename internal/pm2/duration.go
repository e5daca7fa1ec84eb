package pm2

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Duration is a duration that is milliseconds in files and in JSON, as in PM2.
type Duration time.Duration

func milliseconds(n int64) Duration { return Duration(time.Duration(n) * time.Millisecond) }

// maxMillis is the longest duration in a file: 24.8 days, Node's longest timer.
const maxMillis = math.MaxInt32

// D returns the duration as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Millis returns the duration in milliseconds.
func (d Duration) Millis() int64 { return time.Duration(d).Milliseconds() }

// MarshalJSON writes milliseconds.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.Millis()) }

// UnmarshalJSON reads milliseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if n < -maxMillis || n > maxMillis {
		return fmt.Errorf("pm2: %d ms is out of range", n)
	}
	*d = milliseconds(n)
	return nil
}
