package engine

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"einvoice-bridge/bridge/journal/postgres"
)

// serverTimeout is of one transaction, when the server doesn't answer at all.
const serverTimeout = 15 * time.Second

// pipeline is one connection that writes to PostgreSQL. The writes of a transaction run side by side, each up to its
// next statement; these statements travel together, and so a transaction takes as many trips to the server as its
// longest write has statements, however many writes share it.
//
// Writes of one transaction may thus interleave, statement by statement. Nothing that they do to the same row depends
// on more than one statement: entries carry versions, leases and budgets are decided in one statement each.
type pipeline struct {
	server *postgres.Server
	conn   *pgx.Conn
}

// trip is one statement of one write on its way to the server and back, or the end of a write.
type trip struct {
	write int // place in the transaction
	ended bool

	query string
	args  []any
	each  Each
	back  chan struct{} // n and err are set
	n     int64
	err   error
}

// transact tries once more, on a new connection, when nothing was written because another server writes by now.
func (p *pipeline) transact(ops []*op) (doubt bool, err error) {
	doubt, err = p.once(ops)
	if err != nil && postgres.Moved(err) {
		p.close()
		p.server.Moved()
		if !doubt {
			doubt, err = p.once(ops)
		}
	}
	return doubt, err
}

// once needs a trip for BEGIN, one for each step of the longest write, and one for COMMIT.
func (p *pipeline) once(ops []*op) (doubt bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), serverTimeout)
	defer cancel()
	if err := p.begin(ctx); err != nil {
		return false, err
	}
	if err := p.run(ctx, ops); err != nil {
		if _, err := p.conn.Exec(ctx, "ROLLBACK"); err != nil {
			p.close()
		}
		return false, err
	}
	if _, err := p.conn.Exec(ctx, "COMMIT"); err != nil {
		doubt = p.conn.IsClosed()
		p.close()
		return doubt, err
	}
	return false, nil
}

// begin starts a transaction, on a new connection if there is none or it broke while nobody used it.
func (p *pipeline) begin(ctx context.Context) (err error) {
	if p.conn != nil {
		if _, err = p.conn.Exec(ctx, "BEGIN"); err == nil {
			return nil
		}
		p.close()
	}
	if p.conn, err = p.server.Connect(ctx); err != nil {
		p.conn = nil
		return err
	}
	if _, err = p.conn.Exec(ctx, "BEGIN"); err != nil {
		p.close()
	}
	return err
}

// run carries the writes to their ends, trip by trip, and returns the first failure.
func (p *pipeline) run(ctx context.Context, ops []*op) (failed error) {
	trips := make(chan *trip)
	for i, o := range ops {
		go func() {
			t := &Tx{Shared: true, do: func(query string, args []any, each Each) (n, id int64, err error) {
				x := &trip{write: i, query: query, args: args, each: each, back: make(chan struct{})}
				trips <- x
				<-x.back
				return x.n, 0, x.err
			}}
			o.err = o.run(t)
			trips <- &trip{ended: true}
		}()
	}
	for running := len(ops); running > 0; {
		var out []*trip
		for range running { // each comes with its next statement, or has ended
			if x := <-trips; !x.ended {
				out = append(out, x)
			}
		}
		running = len(out)
		// In the order in which they came: ids are given out in it.
		slices.SortFunc(out, func(a, b *trip) int { return a.write - b.write })
		if err := p.send(ctx, out); err != nil && failed == nil {
			failed = err
		}
		for _, x := range out {
			if failed != nil {
				x.err = failed
			}
			close(x.back)
		}
	}
	return failed
}

// send takes statements to the server and their results back, in one trip.
func (p *pipeline) send(ctx context.Context, out []*trip) error {
	if len(out) == 0 {
		return nil
	}
	var b pgx.Batch
	for _, x := range out {
		b.Queue(x.query, x.args...)
	}
	results := p.conn.SendBatch(ctx, &b)
	for _, x := range out {
		rows, err := results.Query()
		if err != nil {
			_ = results.Close()
			return err
		}
		for rows.Next() {
			if x.each != nil && err == nil {
				err = x.each(rows.Scan)
			}
		}
		rows.Close()
		if err == nil {
			err = rows.Err()
		}
		if err != nil {
			_ = results.Close()
			return err
		}
		x.n = rows.CommandTag().RowsAffected()
	}
	return results.Close()
}

func (p *pipeline) lost() bool { return p.conn == nil || p.conn.IsClosed() }

// close gives the connection up without waiting long for a server that may be gone.
func (p *pipeline) close() {
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.conn.Close(ctx)
	p.conn = nil
}
