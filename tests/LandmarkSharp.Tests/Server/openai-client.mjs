// The official client against a server at the address given: prints "all right", or throws.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'none', maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const messages = [
  { role: 'system', content: 'The keeper of the lighthouse is Anna Berg. The code of the archive is 4711.' },
  { role: 'user', content: 'What is the code of the archive?' },
];

const answer = await client.chat.completions.create({ model, messages, temperature: 0, logprobs: true, top_logprobs: 2 });
assert.equal(answer.choices[0].message.content, '4711.');
assert.equal(answer.choices[0].finish_reason, 'stop');
assert.equal(answer.choices[0].logprobs.content[0].top_logprobs.length, 2);

let streamed = '';
let usage;
for await (const chunk of await client.chat.completions.create({
  model, messages, temperature: 0, stream: true, stream_options: { include_usage: true },
})) {
  streamed += chunk.choices[0]?.delta.content ?? '';
  usage = chunk.usage ?? usage;
}
assert.equal(streamed, '4711.');
assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [answer.usage.prompt_tokens, answer.usage.completion_tokens]);

const two = await client.completions.create({ model, prompt: 'The sea', n: 2, seed: 1, max_tokens: 4 });
assert.deepEqual(two.choices.map((c) => c.index), [0, 1]);

await assert.rejects(client.chat.completions.create({ model, messages, presence_penalty: 1 }), (e) =>
  e instanceof OpenAI.BadRequestError && e.param === 'presence_penalty');
console.log('all right');
