// Package drawbar serves an http.Handler to a Drawbar front: a program that calls drawbar.Serve(handler) is a worker.
// It opens no port. Each slot is a connection that is dialled, upgraded, and accepted by net/http from a listener here.
package drawbar

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const leastWait, mostWait = 100 * time.Millisecond, 10 * time.Second // for a front that cannot be reached
const idle, begun, answered, left = 0, 1, 2, 3                       // states of a slot
type listener struct{ net.Listener }                                 // of which net/http only asks for connections
var (
	from      = flag.String("from", os.Getenv("DRAWBAR_FROM"), "`URL` of the front: http:, https: or unix:")
	app       = flag.String("app", os.Getenv("DRAWBAR_APP"), "`NAME` of the application")
	label     = flag.String("label", os.Getenv("DRAWBAR_LABEL"), "`TEXT` that tells versions apart")
	tokenFile = flag.String("token-file", os.Getenv("DRAWBAR_TOKEN_FILE"), "`FILE` with the token of the front's API")
	slots     = flag.Int("slots", 4, "how many requests at once")
	attached  = make(chan net.Conn)
	told      atomic.Value    // what was said of the front last: once, not once for each slot
	leave     context.Context // done by a signal
	inUse     sync.RWMutex    // read-locked by slots with a connection
)

// Serve serves handler until SIGTERM or SIGINT, and then until the requests that run are answered.
func Serve(handler http.Handler) error {
	fmt.Sscan(os.Getenv("DRAWBAR_SLOTS"), slots) // if it says a number
	flag.Parse()
	if _, err := url.Parse(*from); err != nil || *from == "" || *app == "" {
		log.Fatal("worker: it needs --from and --app; --help says more")
	}
	leave, _ = signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	log.Printf("worker: %d slots for %s at %s", *slots, *app, *from)
	for i := 0; i < *slots; i++ {
		go keep()
	}
	go (&http.Server{Handler: handler, ConnState: become}).Serve(listener{})
	<-leave.Done()
	signal.Reset() // a second signal ends the program
	inUse.Lock()
	log.Print("worker: drained")
	return nil
}

func become(conn net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		conn.(*slot).state.Store(idle)
	} else if state == http.StateClosed || state == http.StateHijacked {
		conn.(*slot).free()
		inUse.RUnlock()
	}
}

// slot is an attached connection. It is freed when net/http has closed it, or a handler taken it over.
type slot struct {
	net.Conn
	stream io.ReadWriteCloser // what net/http's client made of Conn: with TLS, perhaps
	state  atomic.Int32
	wait   *time.Duration  // before its slot dials again
	over   context.Context // done when it is freed, or the worker leaves
	free   context.CancelFunc
}

func (listener) Accept() (net.Conn, error)     { return <-attached, nil }
func (s *slot) Write(data []byte) (int, error) { s.state.Store(answered); return s.stream.Write(data) }
func (s *slot) Read(into []byte) (n int, err error) {
	s.leave()
	if n, err = s.stream.Read(into); n > 0 && s.state.CompareAndSwap(idle, begun) {
		*s.wait = 0
	} else if n > 0 && s.state.Load() == left {
		return s.Read(into) // What met the last words on its way is not begun.
	}
	return n, err
}

// Close answers 500 where net/http only hangs up, for a panic. A response that had begun is cut off.
func (s *slot) Close() error {
	if s.state.CompareAndSwap(begun, answered) {
		io.WriteString(s.stream, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}
	return s.stream.Close()
}

// leave says, when the worker leaves, that no request was begun, if none was. The front closes then.
func (s *slot) leave() {
	if leave.Err() != nil && s.state.CompareAndSwap(idle, left) {
		time.AfterFunc(time.Second, func() { s.Close() }) // No deadline: net/http sets its own.
		io.WriteString(s.stream, "HTTP/1.1 503 Left\r\nDrawbar-Released: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}
}

// keep is one slot: it dials again at once when a connection was of use, else with decorrelated jitter.
func keep() {
	for wait, lost := time.Duration(0), (time.Time{}); leave.Err() == nil; time.Sleep(wait) {
		wait = leastWait + time.Duration(rand.Int63n(int64(3*(wait+leastWait))))%mostWait
		inUse.RLock()
		conn, err := dial(&slot{wait: &wait})
		news := map[bool]string{true: "attached to " + *from, false: fmt.Sprintf("no connection to %s: %v; trying again", *from, err)}[err == nil]
		if leave.Err() == nil && time.Since(lost) > time.Second && told.Swap(news) != news {
			log.Print("worker: ", news)
		}
		if err == nil {
			conn.over, conn.free = context.WithCancel(leave)
			attached <- conn
			<-conn.over.Done()
			conn.leave()
			lost = time.Now() // Fronts follow each other within a second.
		} else {
			inUse.RUnlock()
		}
	}
}

func dial(made *slot) (*slot, error) {
	site, socket, unix := strings.Cut(strings.Replace(*from, "unix:", "http://localhost#", 1), "#")
	request, _ := http.NewRequest("GET", site+"/api/v2/attach?"+url.Values{"app": {*app}, "label": {*label}}.Encode(), nil)
	token, err := os.ReadFile(*tokenFile)
	if err != nil && *tokenFile != "" {
		return nil, err
	}
	bearer := []string{"Bearer " + strings.TrimSpace(string(token))}
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"PTTH/1.0"}, "Authorization": bearer}
	response, err := (&http.Transport{DialContext: func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		to := map[bool][2]string{true: {"unix", socket}, false: {network, address}}[unix]
		made.Conn, err = (&net.Dialer{Timeout: mostWait}).DialContext(ctx, to[0], to[1]) // with keep-alive probes
		return made.Conn, err
	}, DisableKeepAlives: true, ResponseHeaderTimeout: mostWait}).RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("%s", strings.TrimSpace(err.Error()[strings.LastIndex(err.Error(), ": ")+1:])) // without addresses
	} else if made.stream, _ = response.Body.(io.ReadWriteCloser); made.stream == nil {
		said, _ := io.ReadAll(response.Body)
		_, why, _ := strings.Cut(string(said), `"detail":`)
		err = fmt.Errorf("it answers %s: %s", response.Status, strings.Split(why+`""`, `"`)[1])
	}
	return made, err
}
