# Serves a Rack application (Rack 2 or 3) to a Drawbar front: ruby worker.rb --from http://127.0.0.1:4242 --app NAME
# Each slot is a thread that dials the front, upgrades, and answers HTTP/1.1 requests on the connection, one at a time.
# The front has checked what clients sent, so that is read without suspicion; what the application says is checked here.
%w[openssl optparse rack socket stringio tempfile uri].each { |name| require name }
IN_MEMORY_BYTES, MOST_WAIT_SECONDS = 65_536, 10.0 # larger request bodies go to a file; for a front that is not there
STOP, STOPPER = IO.pipe
TURN, TOLD = Mutex.new, { wrong: '' } # what was said of the front last; nil: that it is well
Gone = Class.new(IOError) # the front hung up: its client left, or its time was over
RELEASED = "HTTP/1.1 503 Left\r\nDrawbar-Released: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
def log(text) = $stderr.write("worker: #{text}\n") && nil
def stopping?(seconds = 0) = !IO.select([STOP], nil, nil, seconds).nil?

Slot = Struct.new(:app, :options) do
  # Dials again at once when a connection was of use, else with decorrelated jitter.
  def run(delay = 0)
    delay = attach ? 0 : [MOST_WAIT_SECONDS, rand(0.1..(delay + 0.1) * 3)].min until stopping?(delay)
  end

  def attach
    @io = @useful = @owned = nil
    dial(URI(options[:from]))
    loop { waiting? && answer || (return @useful) }
  rescue StandardError => e
    tell(e.message.sub(/ (@|- connect).*/, ''))
  ensure
    @io&.close unless @owned
  end

  # Says what is wrong with the front once, not once for each slot, and when it has passed: nil.
  def tell(wrong, front = options[:from]) = TURN.synchronize {
    since = TOLD[:since] = wrong && (TOLD[:since] || Time.now) # fronts follow each other within a second
    next if stopping? || wrong == TOLD[:wrong] || (TOLD[:wrong].nil? && Time.now - since < 1)
    log((TOLD[:wrong] = wrong) ? "no connection to #{front}: #{wrong}; trying again" : "attached to #{front}")
  }

  def dial(uri)
    @io = uri.scheme == 'unix' ? UNIXSocket.new(uri.path) : Socket.tcp(uri.hostname, uri.port, connect_timeout: 10)
    @io.setsockopt(:SOCKET, :KEEPALIVE, true) # or a front that vanished would be waited for in vain
    { NODELAY: 1, KEEPIDLE: 30, KEEPINTVL: 10, KEEPCNT: 3 }.each { @io.setsockopt(:TCP, _1, _2) } if uri.host
    if uri.scheme == 'https'
      @io = OpenSSL::SSL::SSLSocket.new(@io, OpenSSL::SSL::SSLContext.new.tap(&:set_params))
      @io.tap { |tls| tls.hostname, tls.sync_close = uri.hostname, true }.connect
    end
    token = options[:'token-file'] && "Authorization: Bearer #{File.read(options[:'token-file']).strip}\r\n"
    @io.write("GET /api/v2/attach?#{URI.encode_www_form(options.slice(:app, :label))} HTTP/1.1\r\n" \
              "Host: #{uri.host || 'localhost'}\r\n#{token}Connection: Upgrade\r\nUpgrade: PTTH/1.0\r\n\r\n")
    head = @io.gets("\r\n\r\n").to_s
    return tell(nil) if head.start_with?('HTTP/1.1 101 ')
    raise "it answers #{head[/\d{3}[^\r]*/]}: #{@io.readpartial(4096)[/"detail": *"(.*?)"/, 1]}"
  end

  # Waits for a request, and reads a byte of it: a TLS record may hold none. Who leaves says that none was begun.
  def waiting?
    while (byte = @io.read_nonblock(1, exception: false)) == :wait_readable
      return @io.write(RELEASED).zero? if IO.select([@io, STOP])[0].include?(STOP)
    end
    byte && (@io.ungetc(byte) || true)
  end

  def answer
    start, *fields = @io.gets("\r\n\r\n").split("\r\n")
    @useful, @begun, @closing = true, false, fields.any?(/\Aconnection:[ \t]*close[ \t]*\z/i)
    env = environment(*start.split, fields.map { |field| field.split(/:[ \t]*/, 2) })
    result = app.call(env)
    respond(start[/\S+/], *result) unless @owned
    !@closing && !@owned
  rescue Gone => e
    log("the front hung up during #{start}: #{e.message}")
  rescue Exception => e # even an application's exit ends its request alone
    log("#{start} failed: #{e.class}: #{e.message}\n  #{Array(e.backtrace).join("\n  ")}")
    return false if @begun || @owned
    respond(start[/\S+/], 500, { 'content-type' => 'text/plain' }, ["Internal Server Error\n"]) && !@closing
  ensure
    @input&.close
  end

  def environment(method, target, _version, fields)
    env = { 'REQUEST_METHOD' => method, 'SCRIPT_NAME' => '', 'PATH_INFO' => target[/[^?]*/], 'rack.version' => [1, 6],
            'QUERY_STRING' => target[/\?(.*)/, 1].to_s, 'SERVER_PROTOCOL' => 'HTTP/1.1', 'rack.errors' => $stderr,
            'rack.multithread' => true, 'rack.multiprocess' => true, 'rack.run_once' => false, 'rack.hijack?' => true,
            'rack.hijack' => -> { (@owned = true) && env['rack.hijack_io'] = @io } }
    fields.each do |name, value|
      next if name.include?('_') || name.casecmp?('proxy') # would pass for another name, for a setting
      key = "HTTP_#{name.upcase.tr('-', '_')}".sub(/\AHTTP_(?=CONTENT_(TYPE|LENGTH)\z)/, '')
      env[key] = env.key?(key) ? "#{env[key]}#{key == 'HTTP_COOKIE' ? '; ' : ', '}#{value}" : value
    end
    scheme = env['HTTP_X_FORWARDED_PROTO'] || 'http'
    env.update('rack.url_scheme' => scheme, 'rack.input' => @input = input(env),
               'SERVER_NAME' => env['HTTP_HOST'].to_s[/\A(\[.*\]|[^:]+)/] || 'localhost',
               'SERVER_PORT' => env['HTTP_HOST'].to_s[/:(\d+)\z/, 1] || (scheme == 'https' ? '443' : '80'),
               'REMOTE_ADDR' => env['HTTP_X_FORWARDED_FOR'].to_s[/[^, ]*\z/])
  end

  def input(env)
    chunked, length = env.delete('HTTP_TRANSFER_ENCODING'), env['CONTENT_LENGTH'].to_i
    body = chunked || length > IN_MEMORY_BYTES ? Tempfile.new(binmode: true).tap(&:unlink) : StringIO.new(String.new)
    while (size = chunked ? @io.gets.to_i(16) : length - body.size).positive?
      raise Gone, 'its body ended early' if IO.copy_stream(@io, body, size) < size || (chunked && !@io.gets)
    end
    env['CONTENT_LENGTH'] = body.size.to_s if chunked && @io.gets("\r\n")
    body.tap(&:rewind)
  end

  # Sends what the application returned. A body that is a function, and a hijacker, own the connection from then on.
  def respond(method, status, headers, body)
    owner = headers['rack.hijack'] || (body unless body.respond_to?(:each))
    fields = headers.reject { |name, _| name.match?(/\A(rack\..*|connection)\z/i) }.flat_map do |name, values|
      Array(values).flat_map { _1.to_s.split("\n") }.map { [name.downcase, _1] } # Rack 3 has an Array, Rack 2 lines
    end
    raise "a line break within #{fields}" if fields.join.match?(/[\r\n\0]/)
    bodiless = method == 'HEAD' || [204, 304].include?(status.to_i)
    unless owner || bodiless || fields.assoc('content-length') || fields.assoc('transfer-encoding')
      chunked = !body.is_a?(Array)
      fields << (chunked ? %w[transfer-encoding chunked] : ['content-length', body.sum(&:bytesize)])
    end
    @closing ||= owner || stopping?
    fields << ['connection', status.to_i == 101 ? 'upgrade' : 'close'] if @closing
    left = fields.assoc('content-length')&.last&.to_i
    head = "HTTP/1.1 #{Integer(status)} \r\n#{fields.map { |pair| "#{pair.join(': ')}\r\n" }.join}\r\n".b
    return put(head) && (@owned = true) && owner.call(@io) if owner
    body.each do |part|
      next if bodiless || part.empty?
      raise 'more than its content-length' if left && (left -= part.bytesize).negative?
      put(head.slice!(0..) << (chunked ? "#{part.bytesize.to_s(16)}\r\n#{part.b}\r\n" : part.b))
    end
    raise 'less than its content-length' if left&.positive? && !bodiless
    put(head << (chunked ? "0\r\n\r\n" : ''))
  ensure
    body.close if body.respond_to?(:close) && !owner
  end

  def put(text)
    @begun = true
    @io.write(text)
  rescue SystemCallError, IOError, OpenSSL::SSL::SSLError => e
    raise Gone, e.message
  end
end

set = %w[from app label slots token-file].to_h { |name| [name.to_sym, ENV["DRAWBAR_#{name.upcase}".tr('-', '_')].to_s] }
options = { label: '', slots: 4 }.merge(set.reject { |_, value| value.empty? })
OptionParser.new('Usage: ruby worker.rb --from URL --app NAME [options] [config.ru]') do |o|
  ['--from URL', '--app NAME', '--label TEXT', '--token-file FILE'].reduce(o, :on).on('--slots N', Integer)
  options[:from] && options[:app] || abort(o.help) if o.parse!(into: options)
end
app, = Rack::Builder.parse_file(ARGV.fetch(0, 'config.ru')) # Rack 2 gives its options as well
%w[TERM INT].each { |name| trap(name) { stopping? ? exit!(1) : STOPPER.write_nonblock('.') } }
log("#{options[:slots]} slots for #{options[:app]} at #{options[:from]}")
Array.new(Integer(options[:slots])) { Thread.new { Slot.new(app, options).run } }.each(&:join)
log('drained')
