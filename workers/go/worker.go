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
	from      = flag.String("from", os.Getenv("DRAWBAR_FROM"), "`URL` of the front: http:, https: or unix:")
	app       = flag.String("app", os.Getenv("DRAWBAR_APP"), "`NAME` of the application")
	label     = flag.String("label", os.Getenv("DRAWBAR_LABEL"), "`TEXT` that tells versions apart")
	tokenFile = flag.String("token-file", os.Getenv("DRAWBAR_TOKEN_FILE"), "`FILE` with the token of the front's API")
	slots     = flag.Int("slots", 4, "how many requests at once")
	attached  = make(chan net.Conn)
	leave     context.Context                                                      // done by a signal
	inUse     sync.RWMutex                                                         // read-locked by slots with a connection
	dialer    = net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second} // or one that vanished is waited for
)

// Serve serves handler until SIGTERM or SIGINT, and then until the requests that run are answered.
func Serve(handler http.Handler) error {
	fmt.Sscan(os.Getenv("DRAWBAR_SLOTS"), slots) // if it says a number
	if flag.Parse(); *from == "" || *app == "" {
		log.Fatal("worker: it needs --from and --app; --help says more")
	}
	leave, _ = signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	log.Printf("worker: %d slots for %s at %s", *slots, *app, *from)
	for i := 0; i < *slots; i++ {
		go keep()
	}
	go (&http.Server{ConnState: become, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer answerPanic(w)
		handler.ServeHTTP(w, r)
	})}).Serve(listener{})
	<-leave.Done()
	signal.Reset() // a second signal ends the program
	inUse.Lock()
	log.Print("worker: drained")
	return nil
}

// answerPanic answers 500, where net/http only hangs up. A response that had begun is cut off.
func answerPanic(w http.ResponseWriter) {
	if reason := recover(); reason != nil {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusInternalServerError)
		w.(http.Flusher).Flush()
		panic(reason) // for the log
	}
}
func become(conn net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		conn.(*slot).state.Store(idle)
	} else if state == http.StateHijacked {
		conn.(*slot).free()
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

func (s *slot) Write(data []byte) (int, error) { return s.stream.Write(data) }
func (s *slot) Close() error                   { s.free(); return s.stream.Close() }
func (s *slot) Read(into []byte) (n int, err error) {
	s.leave()
	for n, err = s.stream.Read(into); s.state.Load() == left && err == nil; n, err = s.stream.Read(into) {
	} // Past the last words comes what met them on its way: nothing is begun with it.
	if n > 0 && s.state.CompareAndSwap(idle, busy) {
		*s.wait = 0
	}
	return n, err
}

// leave says, when the worker leaves, that no request was begun, if none was. The front closes then.
func (s *slot) leave() {
	if leave.Err() != nil && s.state.CompareAndSwap(idle, left) {
		io.WriteString(s.stream, "HTTP/1.1 503 Left\r\nDrawbar-Released: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}
	if s.state.Load() == left { // net/http may have cleared it
		s.SetDeadline(time.Now().Add(time.Second))
	}
}

type listener struct{ net.Listener }       // of which net/http only asks for connections
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
	made.freed, made.free = context.WithCancel(context.Background())
	site, socket, unix := strings.Cut(strings.Replace(*from, "unix:", "http://localhost#", 1), "#")
	request, err := http.NewRequest("GET", site+"/api/v2/attach?app="+*app+"&label="+*label, nil)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(*tokenFile)
	if err != nil && *tokenFile != "" {
		return nil, err
	}
	bearer := []string{"Bearer " + strings.TrimSpace(string(token))}
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"PTTH/1.0"}, "Authorization": bearer}
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
		return made, nil
	}
	said, _ := io.ReadAll(response.Body)
	return nil, fmt.Errorf("it said %s %s", response.Status, said)
}
