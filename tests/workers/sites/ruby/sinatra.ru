# A Sinatra application as its users write it.
require 'sinatra/base'

class Shop < Sinatra::Base
  set :environment, :production
  get('/hello/:name') { "hello #{params[:name]}, by #{request.scheme} from #{request.ip} at #{request.host_with_port}" }
  post('/order') do
    response.set_cookie('order', '7')
    response.set_cookie('seen', 'yes')
    "#{params[:what]} from #{request.cookies['who']}"
  end
  get('/parts') { stream { |out| 3.times { |part| out << "part #{part}\n" } } }
  get('/go') { redirect '/hello/you' }
  get('/fail') { raise 'on purpose' }
end

run Shop
