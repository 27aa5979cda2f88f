# The news of this example, in Ruby: any Rack application does.
run ->(env) { [200, { 'content-type' => 'text/plain' }, ["Ruby #{RUBY_VERSION} has no news at #{env['PATH_INFO']}\n"]] }
