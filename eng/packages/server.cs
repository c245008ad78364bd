// A program of a user of the package LandmarkSharp.Server: serves the model and asks it over HTTP.
using System.Net.Http.Json;
using System.Text.Json;
using LandmarkSharp;
using LandmarkSharp.Generation;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Chat;

using var engine = LandmarkEngine.Load(ShippedModel.Folder);
await using var server = await LandmarkServer.Start(engine, "landmark-10m", new ServerOptions { Port = 0 }, new QuestionTemplate());
using var client = new HttpClient { BaseAddress = server.Address };
var answer = await client.PostAsJsonAsync("/v1/chat/completions", new
{
    model = "landmark-10m",
    temperature = 0,
    messages = new[] { new { role = "user", content = "The code of the archive is 48216.\n\nWhat is the code of the archive?" } },
});
var body = await answer.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>();
Console.WriteLine(body.GetProperty("choices")[0].GetProperty("message").GetProperty("content"));
