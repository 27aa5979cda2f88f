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
const idle, busy, left = 0, 1, 2                                     // states of a slot
var (
	from      = flag.String("from", "", "`URL` of the front: http:, https: or unix:")
	app       = flag.String("app", "", "`NAME` of the application")
	label     = flag.String("label", "", "`TEXT` that tells versions apart")
	tokenFile = flag.String("token-file", "", "`FILE` with the token of the front's API")
	slots     = flag.Int("slots", 4, "how many requests at once")
	attached  = make(chan net.Conn)
	leave     context.Context                                                      // done by a signal
	inUse     sync.RWMutex                                                         // read-locked by slots with a connection
	dialer    = net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second} // or a front that vanished would be waited for
)

// Serve serves handler until SIGTERM or SIGINT, and then until the requests that run are answered.
func Serve(handler http.Handler) error {
	if flag.Parse(); *from == "" || *app == "" {
		log.Fatal("worker: it needs --from and --app; --help says more")
	}
	leave, _ = signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	log.Printf("worker: %d slots for %s at %s", *slots, *app, *from)
	for i := 0; i < *slots; i++ {
		go keep()
	}
	go (&http.Server{Handler: answerPanics(handler), ConnState: become}).Serve(listener{})
	<-leave.Done()
	signal.Reset() // a second signal ends the program
	inUse.Lock()
	log.Print("worker: drained")
	return nil
}

// answerPanics answers 500, where net/http only hangs up. A response that had begun is cut off.
func answerPanics(handler http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if reason := recover(); reason != nil {
				w.Header().Set("Content-Length", "0")
				w.WriteHeader(http.StatusInternalServerError)
				w.(http.Flusher).Flush()
				panic(reason) // for the log
			}
		}()
		handler.ServeHTTP(w, r)
	}
}

// slot is an attached connection. It is freed when it is closed, or taken over by a handler.
type slot struct {
	net.Conn
	stream io.ReadWriteCloser // what net/http's client made of Conn: with TLS, perhaps
	state  atomic.Int32
	wait   *time.Duration // before its slot dials again
	freed  context.Context
	free   context.CancelFunc
}

func become(conn net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		conn.(*slot).state.Store(idle)
	} else if state == http.StateHijacked {
		conn.(*slot).free()
	}
}

func (s *slot) Write(data []byte) (int, error) { return s.stream.Write(data) }
func (s *slot) Close() error                   { s.free(); return s.stream.Close() }
func (s *slot) Read(into []byte) (n int, err error) {
	s.leave()
	n, err = s.stream.Read(into)
	if n > 0 && s.state.CompareAndSwap(idle, busy) {
		*s.wait = 0
	}
	for s.state.Load() == left && err == nil { // what met the last words on its way
		n, err = s.stream.Read(into)
	}
	return n, err
}

// leave says, when the worker leaves, that no request was begun, if none was. The front closes then.
func (s *slot) leave() {
	if leave.Err() != nil && s.state.CompareAndSwap(idle, left) {
		s.SetDeadline(time.Now().Add(time.Second))
		io.WriteString(s.stream, "HTTP/1.1 503 Left\r\nDrawbar-Released: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}
}

type listener struct{ net.Listener } // of which net/http only asks for connections

func (listener) Accept() (net.Conn, error) { return <-attached, nil }

// keep is one slot: it dials again at once when a connection was of use, else with decorrelated jitter.
func keep() {
	for wait := time.Duration(0); ; time.Sleep(wait) {
		wait = leastWait + time.Duration(rand.Int63n(int64(3*(wait+leastWait))))%mostWait
		inUse.RLock()
		if conn, err := dial(&wait); err != nil {
			log.Printf("worker: no connection to %s: %v", *from, err)
		} else {
			attached <- conn
			select {
			case <-leave.Done():
				conn.leave()
			case <-conn.freed.Done():
			}
			<-conn.freed.Done()
		}
		inUse.RUnlock()
	}
}

func dial(wait *time.Duration) (*slot, error) {
	made := &slot{wait: wait}
	site, socket, unix := strings.Cut(strings.Replace(*from, "unix:", "http://localhost#", 1), "#")
	request, err := http.NewRequest("GET", site+"/api/v2/attach?"+url.Values{"app": {*app}, "label": {*label}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"PTTH/1.0"}}
	if token, err := os.ReadFile(*tokenFile); err == nil {
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	} else if *tokenFile != "" {
		return nil, err
	}
	response, err := (&http.Transport{DialContext: func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		if unix {
			network, address = "unix", socket
		}
		made.Conn, err = dialer.DialContext(ctx, network, address)
		return made.Conn, err
	}, DisableKeepAlives: true, ResponseHeaderTimeout: dialer.Timeout}).RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if stream, is := response.Body.(io.ReadWriteCloser); is {
		made.stream = stream
		made.freed, made.free = context.WithCancel(context.Background())
		return made, nil
	}
	said, _ := io.ReadAll(response.Body)
	return nil, fmt.Errorf("it said %s %s", response.Status, said)
}
