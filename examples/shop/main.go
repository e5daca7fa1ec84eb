// Shop answers requests. Clients ask for prices and place orders; the shop asks them to confirm,
// and answers with a receipt or an error.
//
//	socket.timeout(15000).emitWithAck("order", { item: "tea", count: 2 })   // from the browser
//	socket.on("confirm", (total, answer) => answer(confirm(`pay ${total}?`)))
package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

// patience is how long a customer may take to confirm.
const patience = 10 * time.Second

var prices = map[string]int{"tea": 3, "cake": 5} // in coins

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

type receipt struct {
	Number int64 `json:"number"`
	Total  int   `json:"total"`
}

func main() { worker.Main(shop) }

func shop(_ context.Context, io *socketio.Server) error {
	var sold atomic.Int64
	io.On("price", price)
	io.On("order", func(ctx context.Context, s *socketio.Socket, o order) (receipt, error) {
		each, err := price(o.Item)
		if err != nil {
			return receipt{}, err
		}
		if o.Count < 1 {
			return receipt{}, &socketio.Error{Message: "nothing ordered", Data: o}
		}
		if err := confirm(ctx, s, each*o.Count); err != nil {
			return receipt{}, err
		}
		return receipt{Number: sold.Add(1), Total: each * o.Count}, nil
	})
	return nil
}

// price returns an item's price. The client reads the message of a *socketio.Error; it never sees
// other errors.
func price(item string) (int, error) {
	each, ok := prices[item]
	if !ok {
		return 0, socketio.NewError(fmt.Sprintf("we have no %q", item))
	}
	return each, nil
}

// confirm asks the customer. Only this customer's other events wait meanwhile.
func confirm(ctx context.Context, s *socketio.Socket, total int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	yes, err := socketio.Call[bool](ctx, s, "confirm", total)
	if errors.Is(err, context.DeadlineExceeded) {
		return socketio.NewError("not confirmed in time")
	}
	if err == nil && !yes {
		return socketio.NewError("not confirmed")
	}
	return err
}
