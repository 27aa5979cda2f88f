# A Rails application in one file.
require 'action_controller/railtie'

class Shop < Rails::Application
  config.load_defaults 6.1
  config.eager_load = true
  config.logger = Logger.new($stderr)
  config.secret_key_base = 'x' * 64
  config.hosts.clear
  config.action_controller.default_protect_from_forgery = false
  routes.append do
    get '/hello' => 'home#hello'
    post '/order' => 'home#order'
  end
end

class HomeController < ActionController::Base
  def hello
    session[:seen] = 'yes'
    cookies[:order] = '7'
    render plain: "hello from #{request.url} to #{request.remote_ip}"
  end

  def order = render(json: params.permit(:what).to_h)
end

Shop.initialize!
run Shop
