// A NestJS module with gateways, as TypeScript's decorators make it.
"use strict";
exports.moduleOf = ({ Module }, { WebSocketGateway }, serve) => {
  class Gateway {
    afterInit(io) {
      serve(io.server || io); // of the namespace "/"
    }
  }
  WebSocketGateway()(Gateway);
  class AppModule {}
  Module({ providers: [Gateway] })(AppModule);
  return AppModule;
};
