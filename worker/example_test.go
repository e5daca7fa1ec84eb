package worker_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

// A program with deferred calls, metrics and a job of its own.
func ExampleRun() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	cfg, err := worker.FromEnv(worker.Config{App: "shop"})
	if err == nil {
		err = worker.Run(ctx, cfg, shop)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func shop(ctx context.Context, io *socketio.Server) error {
	orders := prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "Orders."})
	if err := worker.InfoFrom(ctx).Metrics.Register(orders); err != nil {
		return err
	}
	queue := make(chan string, 100)
	io.On("order", func(ctx context.Context, what string) error {
		select {
		case queue <- what:
			orders.Inc()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	io.Go(func(ctx context.Context) {
		for {
			select {
			case what := <-queue:
				fmt.Println("packed", what)
			case <-ctx.Done():
				return
			}
		}
	})
	io.OnShutdown(func(context.Context) error { // the job has ended
		fmt.Println(len(queue), "orders are left")
		return nil
	})
	return nil
}
