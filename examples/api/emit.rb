# ruby emit.rb ROOM TEXT: everyone in a room gets the event "news". API_URL and API_KEY say where the API is.

require "json"
require "net/http"
require "securerandom"

# Emits an event to a room. It repeats the request while Redis is away, and the key keeps it from being carried out twice.
def emit(room, event, *args)
  uri = URI("#{ENV.fetch("API_URL")}/v1/emit")
  headers = {
    "Authorization" => "Bearer #{ENV.fetch("API_KEY")}",
    "Content-Type" => "application/json",
    "Idempotency-Key" => SecureRandom.uuid,
  }
  body = JSON.generate(event: event, args: args, rooms: [room])
  problem = nil
  5.times do
    begin
      answer = Net::HTTP.post(uri, body, headers)
      return if answer.code == "202"

      problem = "the API answers #{answer.code}: #{answer.body}"
      break unless %w[409 503 504].include?(answer.code)
    rescue SystemCallError, Timeout::Error => e
      problem = e.message
    end
    sleep 1
  end
  abort problem
end

emit(ARGV[0], "news", ARGV[1])
puts "sent"
