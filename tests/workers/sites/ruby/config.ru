# What every worker's test application does, for Rack, with Rack::Lint on both sides of it.
require 'rack/lint'
require 'socket'

Parts = Struct.new(:parts) do
  def each
    parts.each { |part| yield part.respond_to?(:call) ? part.call : part }
  end
end

def text(body, fields = {}) = [200, { 'content-type' => 'text/plain' }.merge(fields), [body]]

def upgraded(io)
  io.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
  while (line = io.gets)
    io.write(line.upcase)
  end
  io.close
end

app = lambda do |env|
  query = env['QUERY_STRING']
  case env['PATH_INFO']
  when '/hello' then text('hello')
  when '/rack' then text(Rack.release)
  when '/echo'
    fields = { 'x-method' => env['REQUEST_METHOD'], 'x-query' => query, 'x-cookie' => env['HTTP_COOKIE'].to_s,
               'x-many' => env['HTTP_X_MANY'].to_s, 'x-path' => env['PATH_INFO'] }
    text(env['rack.input'].read, fields)
  when '/about'
    text([env['rack.url_scheme'], env['SERVER_NAME'], env['SERVER_PORT'], env['REMOTE_ADDR'], env['HTTP_X_SLY'].to_s].join(' '))
  when '/cookies'
    values = Rack.release >= '3' ? %w[a=1 b=2] : "a=1\nb=2"
    text('', 'set-cookie' => values)
  when '/binary' then text((0..255).map(&:chr).join.b * 4096)
  when '/nothing' then [204, {}, []]
  when '/stream' then [200, { 'content-type' => 'text/plain' }, Parts.new(["first\n", -> { File.read(query) }])]
  when '/fail' then raise 'on purpose'
  when '/fail-late' then [200, { 'content-type' => 'text/plain' }, Parts.new(["first\n", -> { raise 'too late' }])]
  when '/exit' then exit
  when '/bad-header' then [200, { 'x-bad' => "a\rb: c" }, []]
  when '/upgrade'
    io = env['rack.hijack'].call
    Thread.new { upgraded(io) }
    [200, {}, []]
  else [404, { 'content-type' => 'text/plain' }, ['not found']]
  end
end

# Lint forbids what this one tries.
bad = app
map('/bad-header') { run ->(env) { bad.call(env.merge('PATH_INFO' => '/bad-header')) } }
map('/') { use Rack::Lint; run app }
